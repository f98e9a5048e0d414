//! Printing as NumPy does.

use super::Tensor;
use crate::element::{Any, Element, Float, Slice, Slices};
use std::fmt;

/// More elements than this are abbreviated. NumPy's `threshold`.
const THRESHOLD: usize = 1000;
/// How many elements remain at each end of an abbreviated axis. NumPy's `edgeitems`.
const EDGE: usize = 3;
/// How long a line may be. NumPy's `linewidth`.
const WIDTH: usize = 75;
/// How many digits after the point are shown. NumPy's `precision`.
const PRECISION: usize = 8;

/// As `print` shows a NumPy array (version 2): in nested brackets and aligned columns; floats with up to eight
/// digits after the point, all in scientific format where their magnitudes demand it; more than 1000
/// elements with only three at each end of an axis.
///
/// `{:.3}` prints floats with exactly three digits after the point.
///
/// ```
/// use wengert::prelude::*;
/// let x = Tensor::from([[1.0, 2.5], [3.25, 4.0]]);
/// assert_eq!(x.to_string(), "[[1.   2.5 ]\n [3.25 4.  ]]");
/// assert_eq!(format!("{x:.1}"), "[[1.0 2.5]\n [3.2 4.0]]");
/// assert_eq!(Tensor::from([true, false]).to_string(), "[ true false]");
/// assert_eq!(Tensor::<f32>::zeros([0, 3]).to_string(), "[] (shape [0, 3])");
/// ```
impl<T: Element> fmt::Display for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(f.precision()))?;
        if self.is_empty() && self.rank() > 1 {
            write!(f, " (shape {})", self.shape())?;
        }
        Ok(())
    }
}

/// Type, shape and elements.
///
/// ```
/// use wengert::prelude::*;
/// let x = Tensor::<f32>::from([1.0, 2.5]);
/// assert_eq!(format!("{x:?}"), "Tensor<f32>[2] [1.  2.5]");
/// ```
impl<T: Element> fmt::Debug for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text(f.precision());
        let separator = if text.contains('\n') { '\n' } else { ' ' };
        write!(f, "Tensor<{}>{}{separator}{text}", T::DTYPE, self.shape())
    }
}

impl<T: Element> Tensor<T> {
    fn text(&self, precision: Option<usize>) -> String {
        if self.is_empty() {
            return "[]".to_string();
        }
        let shape = self.shape();
        let abbreviated = self.len() > THRESHOLD;
        let is_cut = |size: usize| abbreviated && size > 2 * EDGE;
        let mut shown = self.clone();
        for (axis, &size) in shape.iter().enumerate() {
            if is_cut(size) {
                let (front, back) = (0..EDGE as isize, -(EDGE as isize)..);
                let axis = axis as isize;
                shown =
                    Tensor::concat(&[&shown.slice(axis, front), &shown.slice(axis, back)], axis);
            }
        }
        let words = words(
            T::erase::<Slices<'_>>(&shown.to_vec()),
            precision,
            shape.rank(),
        );
        let cuts: Vec<bool> = shape.iter().map(|&size| is_cut(size)).collect();
        let page = Page {
            shape: shown.shape(),
            cuts: &cuts,
        };
        page.nested(&mut words.into_iter(), 0, WIDTH)
    }
}

/// Where the words go.
struct Page<'a> {
    shape: &'a [usize],
    /// The axes of which only the ends are shown.
    cuts: &'a [bool],
}

impl Page<'_> {
    /// The words of one part of the axes before `axis`, on lines of at most `width` characters.
    fn nested(
        &self,
        words: &mut impl Iterator<Item = String>,
        axis: usize,
        width: usize,
    ) -> String {
        let Some(&size) = self.shape.get(axis) else {
            return words.next().unwrap_or_default();
        };
        let indent = axis + 1;
        let margin = " ".repeat(indent);
        let is_last = axis + 1 == self.shape.len();
        let mut text = String::from("[");
        let mut column = indent;
        for i in 0..size {
            let mut items = Vec::with_capacity(2);
            if self.cuts[axis] && i == EDGE {
                items.push("...".to_string());
            }
            items.push(self.nested(words, axis + 1, width - 1));
            for item in items {
                if text.len() > 1 && !is_last {
                    text.extend(std::iter::repeat_n('\n', self.shape.len() - axis - 1));
                    text.push_str(&margin);
                } else if is_last {
                    let mut space = text.len() > 1;
                    if space && column + 1 + item.len() > width - 1 {
                        text.truncate(text.trim_end().len());
                        text.push('\n');
                        text.push_str(&margin);
                        (column, space) = (indent, false);
                    }
                    if space {
                        text.push(' ');
                    }
                    column += usize::from(space) + item.len();
                }
                text.push_str(&item);
            }
        }
        text.push(']');
        text
    }
}

/// The elements as words of equal length.
fn words(elements: Slice<'_>, precision: Option<usize>, rank: usize) -> Vec<String> {
    match elements {
        Any::F32(x) => floats(x, precision, rank, |x, digits| match digits {
            Some(digits) => format!("{x:.digits$e}"),
            None => format!("{x:e}"),
        }),
        Any::F64(x) => floats(x, precision, rank, |x, digits| match digits {
            Some(digits) => format!("{x:.digits$e}"),
            None => format!("{x:e}"),
        }),
        Any::I64(x) => aligned(x.iter().map(i64::to_string).collect()),
        // NumPy gives masks the width of `false` even where all are true.
        Any::Bool(x) if rank > 0 => x.iter().map(|x| format!("{x:>5}")).collect(),
        Any::Bool(x) => x.iter().map(bool::to_string).collect(),
    }
}

fn aligned(words: Vec<String>) -> Vec<String> {
    let width = words.iter().map(String::len).max().unwrap_or(0);
    words
        .into_iter()
        .map(|word| format!("{word:>width$}"))
        .collect()
}

fn non_finite<T: Float>(x: T) -> String {
    let name = if x.is_nan() {
        "nan"
    } else if x > T::ZERO {
        "inf"
    } else {
        "-inf"
    };
    name.to_string()
}

/// The rules of NumPy's `FloatingFormat`, in `floatmode='maxprec'`; `scientific` is `{:e}` with a number of
/// digits.
fn floats<T: Float>(
    elements: &[T],
    precision: Option<usize>,
    rank: usize,
    scientific: impl Fn(T, Option<usize>) -> String,
) -> Vec<String> {
    let word = |finite: &dyn Fn(T) -> String| {
        let of = |&x: &T| {
            if x.is_finite() {
                finite(x)
            } else {
                non_finite(x)
            }
        };
        elements.iter().map(of).collect()
    };
    if let Some(digits) = precision {
        return aligned(word(&|x| format!("{x:.digits$}")));
    }
    if rank == 0 {
        return word(&|x| scalar(x, &scientific));
    }
    if wants_exponent(elements) {
        // What the longest mantissa needs, all get; likewise the exponents.
        let split = |text: &str| {
            let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
            let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
            [whole, fraction, exponent].map(str::to_string)
        };
        let needed = |x: T| {
            let [_, fraction, exponent] = split(&scientific(x, None));
            let mut digits = fraction.len();
            if digits > PRECISION {
                let [_, fraction, _] = split(&scientific(x, Some(PRECISION)));
                digits = fraction.trim_end_matches('0').len();
            }
            (digits, exponent.trim_start_matches('-').len())
        };
        let (digits, places) = elements
            .iter()
            .filter(|x| x.is_finite())
            .map(|&x| needed(x))
            .fold((0, 2), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        return aligned(word(&|x| {
            let [whole, fraction, exponent] = split(&scientific(x, Some(digits)));
            let sign = if exponent.starts_with('-') { '-' } else { '+' };
            let exponent = exponent.trim_start_matches('-');
            format!("{whole}.{fraction}e{sign}{exponent:0>places$}")
        }));
    }
    // The point of each word in one column; what follows the last digit is blank.
    let parts = |x: T| {
        // The shortest digits that name the number say how many there are. Of two such that are equally near,
        // Rust takes the larger and NumPy the even one, as rounding does.
        let shortest = format!("{x}");
        let digits = shortest
            .split_once('.')
            .map_or(0, |(_, fraction)| fraction.len());
        let text = format!("{x:.*}", digits.min(PRECISION));
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        [whole, fraction.trim_end_matches('0')].map(str::to_string)
    };
    let finite = elements.iter().filter(|x| x.is_finite()).map(|&x| parts(x));
    let digits = finite
        .map(|[_, fraction]| fraction.len())
        .max()
        .unwrap_or(0);
    aligned(word(&|x| {
        let [whole, fraction] = parts(x);
        format!("{whole}.{fraction:<digits$}")
    }))
}

/// Whether the range of magnitudes asks for scientific format. Comparisons are those of the type: `1e-4` as
/// `f32` lies below `1e-4` as `f64`.
fn wants_exponent<T: Float>(elements: &[T]) -> bool {
    let magnitudes = || {
        let magnitudes = elements.iter().map(|x| x.magnitude());
        magnitudes.filter(|x| x.is_finite() && *x > T::ZERO)
    };
    let (smallest, largest) = (
        magnitudes().fold(T::HIGHEST, T::smaller),
        magnitudes().fold(T::ZERO, T::larger),
    );
    // 10^8, or the decimal digits that the type holds for certain: 6 for f32.
    let limit = T::of(if T::DTYPE.size() == 4 { 1e6 } else { 1e8 });
    largest > T::ZERO
        && (largest >= limit || smallest < T::of(1e-4) || largest / smallest > T::of(1e3))
}

/// A number by itself: all its digits, scientific below 1e-4 and from 1e16 on, for `f32` from 1e6 on.
fn scalar<T: Float>(x: T, scientific: impl Fn(T, Option<usize>) -> String) -> String {
    let limit = if T::DTYPE.size() == 4 { 1e6 } else { 1e16 };
    let magnitude = x.magnitude().as_f64();
    if magnitude == 0.0 || (1e-4..limit).contains(&magnitude) {
        let text = format!("{x}");
        return if text.contains('.') {
            text
        } else {
            text + ".0"
        };
    }
    let text = scientific(x, None);
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let sign = if exponent.starts_with('-') { '-' } else { '+' };
            format!("{mantissa}e{sign}{:0>2}", exponent.trim_start_matches('-'))
        }
        None => text,
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;
    #[test]
    fn fuzz_numpy() {
        let text = std::fs::read_to_string("/tmp/fuzz.txt").unwrap();
        let mut bad = 0;
        let mut n = 0;
        for line in text.lines() {
            let p: Vec<&str> = line.split('|').collect();
            let shape: Vec<usize> = p[1]
                .split(',')
                .filter(|s| !s.is_empty())
                .map(|s| s.parse().unwrap())
                .collect();
            let words = p[2].split(',').filter(|s| !s.is_empty());
            let got = match p[0] {
                "f4" => Tensor::from_vec(
                    shape,
                    words.map(|w| f32::from_bits(w.parse().unwrap())).collect(),
                )
                .unwrap()
                .to_string(),
                "f8" => Tensor::from_vec(
                    shape,
                    words.map(|w| f64::from_bits(w.parse().unwrap())).collect(),
                )
                .unwrap()
                .to_string(),
                _ => Tensor::from_vec(shape, words.map(|w| w.parse::<i64>().unwrap()).collect())
                    .unwrap()
                    .to_string(),
            };
            n += 1;
            if got != p[3].replace("\\n", "\n") {
                bad += 1;
                if bad < 8 {
                    eprintln!(
                        "{}\ngot\n{got}\nexpected\n{}",
                        p[0],
                        p[3].replace("\\n", "\n")
                    );
                }
            }
        }
        eprintln!("{bad} of {n}");
        assert_eq!(bad, 0);
    }
}
