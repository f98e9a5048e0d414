//! Random numbers from counters: Philox4x32-10.
//!
//! A block of four words is a function of a key of 64 bits and a counter of 128, and nothing else: the lower half of the counter is
//! the number of the block, the upper half names the *stream*. Sixteen neighboring blocks make a *chunk*, in which the first words
//! of all blocks come first, then the second ones, and so on, so that words are computed and stored as vectors. An element thus
//! depends on key, stream and its own number only, however the work is cut.
//!
//! Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

use super::dispatch::simd;
use super::threads;
use crate::element::{Apart, Element, Float};

/// Blocks that are computed side by side.
const LANES: usize = 16;

/// Words of a chunk.
const CHUNK: usize = 4 * LANES;

/// Elements that one thread draws at a time, in whole chunks.
const PART: usize = 1 << 14;

/// The words of a chunk: those with the same place in their block lie together.
type Words = [[u32; LANES]; 4];

/// Where a block is found: words in the lower halves of 64 bits, whose products with a constant are single instructions.
type Lanes = [u64; LANES];

/// The multipliers of the paper, for the first and the third word.
const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];

/// What the two words of the key grow by from round to round: the golden ratio and the square root of 3.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

const ROUNDS: usize = 10;

/// The blocks with sixteen numbers from `first` on of a stream.
#[allow(
    clippy::needless_range_loop,
    reason = "the lanes of four arrays are changed together"
)]
#[inline(always)]
fn blocks(key: u64, stream: u64, first: u64) -> Words {
    const LOW: u64 = 0xFFFF_FFFF;
    let mut counter: [Lanes; 4] = [[0; LANES]; 4];
    for lane in 0..LANES {
        let number = first.wrapping_add(lane as u64);
        counter[0][lane] = number & LOW;
        counter[1][lane] = number >> 32;
        counter[2][lane] = stream & LOW;
        counter[3][lane] = stream >> 32;
    }
    let mut keys = [key as u32, (key >> 32) as u32];
    for _ in 0..ROUNDS {
        let [one, two] = [u64::from(keys[0]), u64::from(keys[1])];
        for lane in 0..LANES {
            let first = counter[0][lane] * MULTIPLIERS[0];
            let second = counter[2][lane] * MULTIPLIERS[1];
            counter[0][lane] = (second >> 32) ^ counter[1][lane] ^ one;
            counter[2][lane] = (first >> 32) ^ counter[3][lane] ^ two;
            counter[1][lane] = second & LOW;
            counter[3][lane] = first & LOW;
        }
        keys = [keys[0].wrapping_add(WEYL[0]), keys[1].wrapping_add(WEYL[1])];
    }
    let mut words = [[0; LANES]; 4];
    for place in 0..4 {
        for lane in 0..LANES {
            words[place][lane] = counter[place][lane] as u32;
        }
    }
    words
}

/// The key with this number of those that follow from a key: the first half of a block.
pub(crate) fn derived(key: u64, stream: u64, number: u64) -> u64 {
    let words = blocks(key, stream, number);
    u64::from(words[0][0]) | u64::from(words[1][0]) << 32
}

/// How elements are made of words.
trait Law: Copy + Sync {
    type Output: Element;
    /// Elements of a chunk: one for each word, or for each two.
    const ELEMENTS: usize;
    /// About how many hundredths of a nanosecond an element takes.
    const COST: usize;
    /// The elements of a chunk, [`ELEMENTS`](Law::ELEMENTS) of them.
    fn fill(self, words: &Words, out: &mut [Self::Output]);
}

/// A number from 0 up to, but not including, 1, of as many bits as the type has digits.
pub(crate) trait Unit: Float {
    /// Words that one takes.
    const WORDS: usize;
    /// The number with the given words, the second of which may not be used.
    fn unit(a: u32, b: u32) -> Self;
    /// As [`unit`](Unit::unit), but above 0 and up to 1, and with smaller steps near 0 where the words have more bits.
    fn above_zero(a: u32, b: u32) -> Self;
    /// The largest number that is smaller.
    fn below(self) -> Self;
}

impl Unit for f32 {
    const WORDS: usize = 1;
    #[inline(always)]
    fn unit(a: u32, _b: u32) -> f32 {
        // As a signed integer: only that conversion is an instruction everywhere.
        (a >> 8) as i32 as f32 * (1.0 / (1 << 24) as f32)
    }
    #[inline(always)]
    fn above_zero(a: u32, _b: u32) -> f32 {
        const STEP: f32 = 1.0 / (1u64 << 32) as f32;
        a as f32 * STEP + 0.5 * STEP
    }
    fn below(self) -> f32 {
        self.next_down()
    }
}

impl Unit for f64 {
    const WORDS: usize = 2;
    #[inline(always)]
    fn unit(a: u32, b: u32) -> f64 {
        let (high, low) = (f64::from((a >> 5) as i32), f64::from((b >> 6) as i32));
        (high * (1 << 26) as f64 + low) * (1.0 / (1u64 << 53) as f64)
    }
    #[inline(always)]
    fn above_zero(a: u32, b: u32) -> f64 {
        f64::unit(a, b) + 0.5 / (1u64 << 53) as f64
    }
    fn below(self) -> f64 {
        self.next_down()
    }
}

/// The words that an element is made of: those with number `k` of `T::WORDS` each, in a lane.
#[inline(always)]
fn words_of<T: Unit>(words: &Words, k: usize, lane: usize) -> (u32, u32) {
    let first = k * T::WORDS;
    (words[first][lane], words[first + T::WORDS - 1][lane])
}

/// `low + width * u`, but at most `most`.
#[derive(Clone, Copy)]
struct Uniform<T> {
    low: T,
    width: T,
    most: T,
}

impl<T: Unit> Law for Uniform<T> {
    type Output = T;
    const ELEMENTS: usize = CHUNK / T::WORDS;
    const COST: usize = 100 * T::WORDS;
    #[inline(always)]
    fn fill(self, words: &Words, out: &mut [T]) {
        for k in 0..4 / T::WORDS {
            let out = &mut out[k * LANES..(k + 1) * LANES];
            for (lane, out) in out.iter_mut().enumerate() {
                let (a, b) = words_of::<T>(words, k, lane);
                let x = self.low + self.width * T::unit(a, b);
                // The sum may round up to the end that is not to be reached.
                *out = if x < self.most { x } else { self.most };
            }
        }
    }
}

/// `mean + std * z`.
#[derive(Clone, Copy)]
struct Normal<T> {
    mean: T,
    std: T,
}

impl<T: Unit> Law for Normal<T> {
    type Output = T;
    const ELEMENTS: usize = CHUNK / T::WORDS;
    const COST: usize = 250 * T::WORDS;
    #[inline(always)]
    fn fill(self, words: &Words, out: &mut [T]) {
        for pair in 0..2 / T::WORDS {
            let out = &mut out[2 * pair * LANES..2 * (pair + 1) * LANES];
            for lane in 0..LANES {
                let (a, b) = words_of::<T>(words, 2 * pair, lane);
                let radius = (T::of(-2.0) * T::above_zero(a, b).ln_at::<Apart>()).sqrt();
                let (a, b) = words_of::<T>(words, 2 * pair + 1, lane);
                let angle = T::of(std::f64::consts::TAU) * T::unit(a, b);
                out[lane] = self.mean + self.std * (radius * angle.cos_at::<Apart>());
                out[LANES + lane] = self.mean + self.std * (radius * angle.sin_at::<Apart>());
            }
        }
    }
}

/// One where a word is at most `most`, else zero.
#[derive(Clone, Copy)]
struct Bernoulli<T> {
    most: u32,
    one: T,
}

impl<T: Element> Law for Bernoulli<T> {
    type Output = T;
    const ELEMENTS: usize = CHUNK;
    const COST: usize = 100;
    #[inline(always)]
    fn fill(self, words: &Words, out: &mut [T]) {
        for (place, words) in words.iter().enumerate() {
            let out = &mut out[place * LANES..(place + 1) * LANES];
            for (out, word) in out.iter_mut().zip(words) {
                *out = if *word <= self.most {
                    self.one
                } else {
                    T::ZERO
                };
            }
        }
    }
}

simd! {
    /// Draws elements of a stream from chunk number `first` on.
    fn chunks<D: Law>(law: D, key: u64, stream: u64, first: usize, out: &mut [D::Output]) {
        for (k, chunk) in out.chunks_mut(D::ELEMENTS).enumerate() {
            let words = blocks(key, stream, ((first + k) * LANES) as u64);
            if chunk.len() == D::ELEMENTS {
                law.fill(&words, chunk);
            } else {
                let mut whole = [D::Output::ZERO; CHUNK];
                law.fill(&words, &mut whole);
                chunk.copy_from_slice(&whole[..chunk.len()]);
            }
        }
    }
}

/// Draws equally many elements with each of the keys, one after another.
fn draw<D: Law>(law: D, keys: &[i64], stream: u64, out: &mut [D::Output]) {
    if out.is_empty() {
        return;
    }
    let size = out.len() / keys.len();
    let nanoseconds = out.len().saturating_mul(D::COST) / 100;
    if size > PART {
        for (&key, out) in keys.iter().zip(out.chunks_exact_mut(size)) {
            threads::each_chunk(out, PART, nanoseconds, |k, part| {
                chunks(law, key as u64, stream, k * (PART / D::ELEMENTS), part);
            });
        }
        return;
    }
    let together = PART / size;
    threads::each_chunk(out, together * size, nanoseconds, |k, part| {
        let keys = keys[k * together..].iter();
        for (&key, out) in keys.zip(part.chunks_exact_mut(size)) {
            chunks(law, key as u64, stream, 0, out);
        }
    });
}

/// Independent numbers, uniform from `low` on and below `high`, unless these are equal; as many with each key.
pub(crate) fn uniform<T: Unit>(keys: &[i64], stream: u64, low: T, high: T, out: &mut [T]) {
    let width = high - low;
    let most = if low < high { high.below() } else { low };
    draw(Uniform { low, width, most }, keys, stream, out);
}

/// Independent numbers, normally distributed; as many with each key.
///
/// Source: G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates", 1958.
pub(crate) fn normal<T: Unit>(keys: &[i64], stream: u64, mean: T, std: T, out: &mut [T]) {
    draw(Normal { mean, std }, keys, stream, out);
}

/// Ones with a probability, which is rounded to 32 bits after the point, and zeros; as many with each key.
pub(crate) fn bernoulli<T: Element>(keys: &[i64], stream: u64, p: f64, out: &mut [T]) {
    let words = (p * (1u64 << 32) as f64).round() as u64;
    match words.checked_sub(1) {
        Some(most) => {
            let (most, one) = (most.min(u64::from(u32::MAX)) as u32, T::ONE);
            draw(Bernoulli { most, one }, keys, stream, out);
        }
        None => out.fill(T::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::super::dispatch::at_every_level;
    use super::*;

    /// Philox4x32-10 word by word, as the paper writes it.
    fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
        for _ in 0..10 {
            let wide = |word: u32, multiplier: u32| u64::from(word) * u64::from(multiplier);
            let (first, second) = (wide(counter[0], 0xD2511F53), wide(counter[2], 0xCD9E8D57));
            counter = [
                (second >> 32) as u32 ^ counter[1] ^ key[0],
                second as u32,
                (first >> 32) as u32 ^ counter[3] ^ key[1],
                first as u32,
            ];
            key = [
                key[0].wrapping_add(0x9E3779B9),
                key[1].wrapping_add(0xBB67AE85),
            ];
        }
        counter
    }

    /// The vectors that the authors publish with their library Random123.
    #[test]
    fn known_answers() {
        let known: [([u32; 4], [u32; 2], [u32; 4]); 3] = [
            (
                [0; 4],
                [0; 2],
                [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
            ),
            (
                [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                [0xa4093822, 0x299f31d0],
                [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
            ),
        ];
        let joined = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        for (counter, key, expected) in known {
            let [a, b, c, d] = counter;
            let words = blocks(joined(key[0], key[1]), joined(c, d), joined(a, b));
            assert_eq!(words.map(|word| word[0]), expected);
            assert_eq!(philox(counter, key), expected);
        }
    }

    /// The words of element `i` of a stream, of so many words each.
    fn words(key: u64, stream: u64, i: usize, each: usize) -> [u32; 2] {
        let (lane, place) = (i % LANES, i / LANES % (4 / each));
        let block = (i / (CHUNK / each) * LANES + lane) as u32;
        let counter = [block, 0, stream as u32, (stream >> 32) as u32];
        let words = philox(counter, [key as u32, (key >> 32) as u32]);
        [words[each * place], words[each * place + each - 1]]
    }

    const KEY: i64 = -0x1234_5678_9ABC_DEF0;
    const STREAM: u64 = 0x5_0000_0007;
    const SIZES: [usize; 9] = [0, 1, 15, 16, 63, 64, 65, 1000, 3 * PART + 77];

    fn drawn<T: Element>(size: usize, draw: impl Fn(&mut [T])) -> Vec<T> {
        let mut out = vec![T::ZERO; size];
        draw(&mut out);
        out
    }

    #[test]
    fn an_element_depends_on_key_stream_and_number_only() {
        for size in SIZES {
            let of = |i, each| words(KEY as u64, STREAM, i, each);
            let expected: Vec<f32> = (0..size)
                .map(|i| (of(i, 1)[0] >> 8) as f32 / 16_777_216.0)
                .collect();
            let found =
                at_every_level(|| drawn(size, |out| uniform(&[KEY], STREAM, 0.0f32, 1.0, out)));
            assert!(found.iter().all(|found| *found == expected), "{size}");
            let double = |i| {
                let [a, b] = of(i, 2);
                let bits = u64::from(a >> 5) << 26 | u64::from(b >> 6);
                bits as f64 / 9_007_199_254_740_992.0
            };
            let expected: Vec<f64> = (0..size).map(double).collect();
            let found =
                at_every_level(|| drawn(size, |out| uniform(&[KEY], STREAM, 0.0f64, 1.0, out)));
            assert!(found.iter().all(|found| *found == expected), "{size}");
            let ones: Vec<bool> = (0..size).map(|i| of(i, 1)[0] < 1 << 30).collect();
            let found =
                at_every_level(|| drawn(size, |out| bernoulli::<bool>(&[KEY], STREAM, 0.25, out)));
            assert!(found.iter().all(|found| *found == ones), "{size}");
        }
    }

    #[test]
    fn normal_numbers_are_those_of_box_and_muller_at_every_level() {
        for size in SIZES {
            let [single, double] = [1, 2].map(|each| {
                let pair = |i: usize| {
                    let group = 2 * LANES;
                    let first = i / group * group + i % LANES;
                    let [a, b] = [first, first + LANES]
                        .map(|i| words(KEY as u64, STREAM, i, each).map(f64::from));
                    // The words without the bits that are dropped.
                    let cut =
                        |word: f64, bits: i32| (word / 2f64.powi(bits)).floor() * 2f64.powi(bits);
                    let unit = |[high, low]: [f64; 2]| match each {
                        1 => cut(high, 8) / 2f64.powi(32),
                        _ => cut(high, 5) / 2f64.powi(32) + cut(low, 6) / 2f64.powi(59),
                    };
                    let above_zero = |[high, low]: [f64; 2]| match each {
                        1 => (high + 0.5) / 2f64.powi(32),
                        _ => unit([high, low]) + 0.5 / 2f64.powi(53),
                    };
                    let radius = (-2.0 * above_zero(a).ln()).sqrt();
                    let angle = std::f64::consts::TAU * unit(b);
                    radius
                        * if i % group < LANES {
                            angle.cos()
                        } else {
                            angle.sin()
                        }
                };
                (0..size).map(pair).collect::<Vec<f64>>()
            });
            let found =
                at_every_level(|| drawn(size, |out| normal(&[KEY], STREAM, 0.0f32, 1.0, out)));
            for (x, y) in found[0].iter().zip(&single) {
                assert!((f64::from(*x) - y).abs() < 4e-6, "{x} {y}");
            }
            assert!(found.iter().all(|other| *other == found[0]), "{size}");
            let found =
                at_every_level(|| drawn(size, |out| normal(&[KEY], STREAM, 0.0f64, 1.0, out)));
            for (x, y) in found[0].iter().zip(&double) {
                assert!((x - y).abs() < 1e-13, "{x} {y}");
            }
            assert!(found.iter().all(|other| *other == found[0]), "{size}");
        }
    }

    #[test]
    fn the_most_extreme_words_give_finite_numbers() {
        for word in [0, u32::MAX] {
            let words: Words = [[word; LANES]; 4];
            let mut out = [f32::NAN; CHUNK];
            Normal {
                mean: 1.0,
                std: 2.0,
            }
            .fill(&words, &mut out);
            assert!(out.iter().all(|x| x.abs() < 15.0), "{out:?}");
            let mut out = [f64::NAN; CHUNK / 2];
            Normal {
                mean: 1.0,
                std: 2.0,
            }
            .fill(&words, &mut out);
            assert!(out.iter().all(|x| x.abs() < 19.0), "{out:?}");
        }
    }

    #[test]
    fn each_key_draws_as_if_alone() {
        let keys = [3, -1, 7, 3];
        for size in [1, 5, 64, 300, PART + 5] {
            let all = drawn(4 * size, |out| uniform(&keys, 2, -1.0f32, 1.0, out));
            for (key, row) in keys.iter().zip(all.chunks(size)) {
                let alone = drawn(size, |out| uniform(&[*key], 2, -1.0f32, 1.0, out));
                assert_eq!(row, alone);
            }
            assert_ne!(all[..size], all[size..2 * size]);
        }
        drawn(0, |out| uniform::<f32>(&[], 2, 0.0, 1.0, out));
    }

    #[cfg(feature = "parallel")]
    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let keys = [5, 6];
        let draw = |size: usize| {
            let bits = |x: &f32| x.to_bits();
            let one = drawn(size, |out| normal(&keys[..1], 1, 0.0f32, 1.0, out));
            let two = drawn(2 * size, |out| normal(&keys, 1, 0.0f32, 1.0, out));
            [one, two].map(|x| x.iter().map(bits).collect::<Vec<_>>())
        };
        for size in [1000, 100_003] {
            let results = threads::pools().map(|pool| pool.install(|| draw(size)));
            assert!(results.iter().all(|other| *other == results[0]));
        }
    }

    #[test]
    fn the_upper_end_is_not_reached_though_sums_round_up() {
        let high = 1.0f32.next_up();
        let x = drawn(1000, |out| uniform(&[1], 0, 1.0f32, high, out));
        assert!(x.iter().all(|&x| x == 1.0));
        let x = drawn(10, |out| uniform(&[1], 0, 3.0f64, 3.0, out));
        assert_eq!(x, [3.0; 10]);
    }

    #[test]
    fn probabilities_at_the_ends_are_certain() {
        for (p, expected) in [(0.0, 0.0), (1e-12, 0.0), (1.0 - 1e-12, 1.0), (1.0, 1.0)] {
            let x = drawn(1000, |out| bernoulli::<f32>(&[9], 0, p, out));
            assert!(x.iter().all(|&x| x == expected), "{p}");
        }
    }

    #[test]
    fn derived_keys_differ() {
        let mut keys: Vec<u64> = (0..100).map(|number| derived(0, 0, number)).collect();
        keys.extend((1..100).map(|stream| derived(0, stream, 0)));
        keys.extend((1..100).map(|key| derived(key, 0, 0)));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 298);
    }
}
