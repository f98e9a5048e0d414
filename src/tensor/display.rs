//! Printing as NumPy does.

use super::Tensor;
use crate::element::{Any, Element, Float, Slice, Slices};
use crate::shape::Shape;
use std::fmt;

/// More elements than this are abbreviated. NumPy's `threshold`.
const THRESHOLD: usize = 1000;
/// How many elements remain at each end of an abbreviated axis. NumPy's `edgeitems`.
const EDGE: usize = 3;
/// How long a line may be. NumPy's `linewidth`.
const WIDTH: usize = 75;
/// How many digits after the point are shown. NumPy's `precision`.
const PRECISION: usize = 8;

/// As `print` shows a NumPy array (version 2): in nested brackets and aligned columns; floats with
/// up to eight digits after the point, all in scientific format where their magnitudes demand it;
/// more than 1000 elements with only three at each end of an axis.
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
        let ends = |&size: &usize| if is_cut(size) { 2 * EDGE } else { size };
        let shown = Tensor::from_fn(shape.iter().map(ends).collect::<Shape>(), |index| {
            let place = |(&i, &size): (&usize, &usize)| {
                if is_cut(size) && i >= EDGE {
                    size - 2 * EDGE + i
                } else {
                    i
                }
            };
            let index: Vec<usize> = index.iter().zip(shape.iter()).map(place).collect();
            self.storage()[self.layout().position(&index)]
        });
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

/// The rules of NumPy's `FloatingFormat`, in `floatmode='maxprec'`; `scientific` is `{:e}` with a
/// number of digits.
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
        // The shortest digits that name the number say how many there are. Of two such that are
        // equally near, Rust takes the larger and NumPy the even one, as rounding does.
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

/// Whether the range of magnitudes asks for scientific format. Comparisons are those of the type:
/// `1e-4` as `f32` lies below `1e-4` as `f64`.
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

/// A number by itself: all its digits, scientific below 1e-4 and from 1e16 on, for `f32` from 1e6
/// on.
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
mod tests {
    use super::*;

    fn check<const N: usize>(cases: [(String, &str); N]) {
        for (printed, numpy) in cases {
            assert_eq!(printed, numpy);
        }
    }

    // The literal strings of this module were printed by NumPy 2.4.6, with `True` and `False` in
    // lower case.
    #[test]
    fn prints_elements_as_numpy_does() {
        check([
            (Tensor::<f64>::from([1.0, 2.5]).to_string(), "[1.  2.5]"),
            (
                Tensor::<f64>::from([[1.0, 2.5], [3.25, 4.0]]).to_string(),
                "[[1.   2.5 ]\n [3.25 4.  ]]",
            ),
            (
                Tensor::<f32>::from([0.1, 0.2, 1.0 / 3.0]).to_string(),
                "[0.1        0.2        0.33333334]",
            ),
            (
                Tensor::<f64>::from([0.1, 0.2, 1.0 / 3.0]).to_string(),
                "[0.1        0.2        0.33333333]",
            ),
            (
                Tensor::<f64>::from([1e-5, 1.0]).to_string(),
                "[1.e-05 1.e+00]",
            ),
            (
                Tensor::<f64>::from([1e8, 1.0]).to_string(),
                "[1.e+08 1.e+00]",
            ),
            (
                Tensor::<f64>::from([12345678.5, 99999.25]).to_string(),
                "[12345678.5     99999.25]",
            ),
            (
                Tensor::<f32>::from([1e6, 123456.0]).to_string(),
                "[1.00000e+06 1.23456e+05]",
            ),
            (
                Tensor::<f32>::from([999999.0, 123456.0]).to_string(),
                "[999999. 123456.]",
            ),
            (
                Tensor::<f32>::from([1e-4, 0.01]).to_string(),
                "[0.0001 0.01  ]",
            ),
            (
                Tensor::<f64>::from([1.0, 1000.0]).to_string(),
                "[   1. 1000.]",
            ),
            (
                Tensor::<f64>::from([1.0, 1001.0]).to_string(),
                "[1.000e+00 1.001e+03]",
            ),
            (
                Tensor::<f64>::from([-1.5, f64::NAN, f64::INFINITY]).to_string(),
                "[-1.5  nan  inf]",
            ),
            (
                Tensor::<f64>::from([f64::NAN, f64::NEG_INFINITY]).to_string(),
                "[ nan -inf]",
            ),
            (
                Tensor::<f64>::from([f64::NAN, 1.0]).to_string(),
                "[nan  1.]",
            ),
            (
                Tensor::<f64>::from([f64::NAN, f64::NAN]).to_string(),
                "[nan nan]",
            ),
            (
                Tensor::<f64>::from([1e-10, f64::NEG_INFINITY, -2.5e10]).to_string(),
                "[ 1.0e-10     -inf -2.5e+10]",
            ),
            (
                Tensor::<f64>::from([1e-10, 1.2345678901234, f64::NAN]).to_string(),
                "[1.00000000e-10 1.23456789e+00            nan]",
            ),
            (
                Tensor::<f64>::from([1e100, 1e-5]).to_string(),
                "[1.e+100 1.e-005]",
            ),
            (
                Tensor::<f64>::from([5e-324, f64::MAX]).to_string(),
                "[4.94065646e-324 1.79769313e+308]",
            ),
            (
                Tensor::<f32>::from([f32::MIN_POSITIVE, f32::MAX]).to_string(),
                "[1.1754944e-38 3.4028235e+38]",
            ),
            (Tensor::<f64>::from([0.0, -0.0]).to_string(), "[ 0. -0.]"),
            (
                Tensor::<f64>::from([-1.0, 10.0, 0.5]).to_string(),
                "[-1.  10.   0.5]",
            ),
            (
                Tensor::<f64>::from([std::f64::consts::PI, 100.0]).to_string(),
                "[  3.14159265 100.        ]",
            ),
            (
                Tensor::<f64>::from([0.999999999, 0.5]).to_string(),
                "[1.  0.5]",
            ),
            (
                Tensor::<f64>::from([9.9999999999e20, 1.0]).to_string(),
                "[1.e+21 1.e+00]",
            ),
            (
                Tensor::<f64>::from([0.123456785, 0.000123456785]).to_string(),
                "[0.12345678 0.00012346]",
            ),
            (
                Tensor::<i64>::from([[1, -20], [300, 4]]).to_string(),
                "[[  1 -20]\n [300   4]]",
            ),
            (
                Tensor::<bool>::from([[true, false], [true, true]]).to_string(),
                "[[ true false]\n [ true  true]]",
            ),
            (
                Tensor::<bool>::from([true, true]).to_string(),
                "[ true  true]",
            ),
            (
                Tensor::<i64>::from([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]).to_string(),
                "[[[1 2]\n  [3 4]]\n\n [[5 6]\n  [7 8]]]",
            ),
            (
                Tensor::<i64>::from([[[[1], [2]]], [[[3], [4]]]]).to_string(),
                "[[[[1]\n   [2]]]\n\n\n [[[3]\n   [4]]]]",
            ),
        ]);
    }

    #[test]
    fn prints_scalars_as_numpy_does() {
        check([
            (Tensor::<f64>::from(1.0).to_string(), "1.0"),
            (Tensor::<f64>::from(0.1).to_string(), "0.1"),
            (Tensor::<f32>::from(0.1).to_string(), "0.1"),
            (Tensor::<f64>::from(1e-5).to_string(), "1e-05"),
            (Tensor::<f64>::from(1e-4).to_string(), "0.0001"),
            (Tensor::<f64>::from(1.5e16).to_string(), "1.5e+16"),
            (
                Tensor::<f64>::from(123456789012345.0).to_string(),
                "123456789012345.0",
            ),
            (Tensor::<f64>::from(1e100).to_string(), "1e+100"),
            (Tensor::<f64>::from(-0.0).to_string(), "-0.0"),
            (Tensor::<f32>::from(1e-4).to_string(), "1e-04"),
            (Tensor::<f32>::from(1.5e16).to_string(), "1.5e+16"),
            (Tensor::<f64>::from(f64::NAN).to_string(), "nan"),
            (Tensor::<f64>::from(f64::NEG_INFINITY).to_string(), "-inf"),
            (Tensor::<i64>::from(-7).to_string(), "-7"),
            (Tensor::<bool>::from(true).to_string(), "true"),
        ]);
    }

    #[test]
    fn breaks_and_abbreviates_lines_as_numpy_does() {
        check([
            (
                Tensor::arange(0, 30, 1).to_string(),
                "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n 24 25 26 27 28 29]",
            ),
            (
                Tensor::arange(0, 1001, 1).to_string(),
                "[   0    1    2 ...  998  999 1000]",
            ),
            (
                Tensor::arange(0, 2000, 1).reshape([2, 1000]).to_string(),
                "[[   0    1    2 ...  997  998  999]\n [1000 1001 1002 ... 1997 1998 1999]]",
            ),
            (
                Tensor::arange(0, 2000, 1).reshape([1000, 2]).to_string(),
                "[[   0    1]\n [   2    3]\n [   4    5]\n ...\n [1994 1995]\n [1996 1997]\n [1998 1999]]",
            ),
            (
                Tensor::arange(0.0f64, 40.0, 1.0)
                    .map(|x| x / 8.0)
                    .reshape([2, 20])
                    .to_string(),
                "[[0.    0.125 0.25  0.375 0.5   0.625 0.75  0.875 1.    1.125 1.25  1.375\n  1.5   1.625 1.75  1.875 2.    2.125 2.25  2.375]\n [2.5   2.625 2.75  2.875 3.    3.125 3.25  3.375 3.5   3.625 3.75  3.875\n  4.    4.125 4.25  4.375 4.5   4.625 4.75  4.875]]",
            ),
            (
                Tensor::linspace(-1.0f64, 1.0, 12)
                    .reshape([1, 2, 6])
                    .to_string(),
                "[[[-1.         -0.81818182 -0.63636364 -0.45454545 -0.27272727\n   -0.09090909]\n  [ 0.09090909  0.27272727  0.45454545  0.63636364  0.81818182\n    1.        ]]]",
            ),
            (
                Tensor::arange(0, 1200, 1).reshape([6, 200]).to_string(),
                "[[   0    1    2 ...  197  198  199]\n [ 200  201  202 ...  397  398  399]\n [ 400  401  402 ...  597  598  599]\n [ 600  601  602 ...  797  798  799]\n [ 800  801  802 ...  997  998  999]\n [1000 1001 1002 ... 1197 1198 1199]]",
            ),
            (
                Tensor::<bool>::ones([20]).to_string(),
                "[ true  true  true  true  true  true  true  true  true  true  true  true\n  true  true  true  true  true  true  true  true]",
            ),
            (
                Tensor::arange(100_000_000_000_000_000, 100_000_000_000_001_001, 1).to_string(),
                "[100000000000000000 100000000000000001 100000000000000002 ...\n 100000000000000998 100000000000000999 100000000000001000]",
            ),
        ]);
    }

    #[test]
    fn digits_tied_between_two_are_rounded_to_even_as_numpy_does() {
        let x = Tensor::from([64447.0f32 + 0.3125, 0.5]);
        assert_eq!(x.slice(0, ..1).to_string(), "[64447.312]");
    }

    #[test]
    fn a_given_precision_is_kept() {
        let x = Tensor::from([[1.0, -22.5], [f64::NAN, 1e9]]);
        assert_eq!(
            format!("{x:.2}"),
            "[[         1.00        -22.50]\n [          nan 1000000000.00]]"
        );
        assert_eq!(format!("{:.3}", Tensor::from(2.0f32)), "2.000");
        assert_eq!(format!("{:.3}", Tensor::from([1, 20])), "[ 1 20]");
        assert_eq!(
            format!("{x:.0?}"),
            "Tensor<f64>[2, 2]\n[[         1        -22]\n [       nan 1000000000]]"
        );
    }

    #[test]
    fn empty_tensors_and_views() {
        assert_eq!(Tensor::<f32>::zeros([0]).to_string(), "[]");
        assert_eq!(
            Tensor::<f32>::zeros([2, 0]).to_string(),
            "[] (shape [2, 0])"
        );
        assert_eq!(
            format!("{:?}", Tensor::<bool>::zeros([0, 3])),
            "Tensor<bool>[0, 3] []"
        );
        assert_eq!(
            Tensor::from([[1, 2], [3, 4]]).t().flip(0).to_string(),
            "[[2 4]\n [1 3]]"
        );
        let huge = Tensor::from([7, 8])
            .expand([1 << 28, 1 << 28, 2])
            .to_string();
        assert!(
            huge.starts_with("[[[7 8]\n  [7 8]\n  [7 8]\n  ...\n  [7 8]"),
            "{huge}"
        );
        assert_eq!(format!("{:?}", Tensor::from(1.5f32)), "Tensor<f32>[] 1.5");
    }
}
