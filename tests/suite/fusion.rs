//! What the executor fuses, in the sizes at which its blocks, groups and rows end: the same bits as one node at a time.

use super::sample::runner;
use proptest::prelude::*;
use wengert::transform::hvp;
use wengert::{Float, Shape, Tape, Tensor, Var};

const ROWS: &[usize] = &[0, 1, 2, 3, 63, 64, 65, 130];
const WIDTHS: &[usize] = &[0, 1, 2, 3, 16, 100, 511, 512, 513, 1024, 1500];
/// Elements of a case: the reference is slow.
const MOST: usize = 12_000;

/// A value in a chain: which operation, and which of the values before it.
#[derive(Clone, Copy, Debug)]
struct Link {
    operation: u8,
    other: u8,
}

fn same_bits<T: Float>(a: &Tensor<T>, b: &Tensor<T>) -> bool {
    let same = |(x, y): (T, T)| {
        (x.is_nan() && y.is_nan()) || (x == y && x.is_sign_negative() == y.is_sign_negative())
    };
    a.shape() == b.shape() && a.iter().zip(b.iter()).all(same)
}

/// Elements from a seed, with a few that are no ordinary numbers.
fn elements<T: Float>(shape: Shape, seed: u64, rare: bool) -> Tensor<T> {
    let mut state = seed;
    Tensor::from_fn(shape, |_| {
        state = state
            .wrapping_mul(0x5851_F42D_4C95_7F2D)
            .wrapping_add(0x1405_7B7E_F767_814F);
        let bits = (state >> 33) as u32;
        match bits % 199 {
            0 if rare => T::nan(),
            1 if rare => T::infinity(),
            2 if rare => T::neg_infinity(),
            3 => T::zero(),
            _ => T::of(f64::from(bits) / f64::from(u32::MAX) * 8.0 - 2.0),
        }
    })
}

/// One more value over the space `[rows, width]`.
fn grow<T: Float>(values: &[Var<T>], sides: &[Var<T>; 3], link: Link) -> Var<T> {
    let x = values[values.len() - 1];
    let y = values[link.other as usize % values.len()];
    let [row, column, turned] = *sides;
    match link.operation % 20 {
        0 => x + y,
        1 => x * row,
        2 => x - column,
        3 => x.tanh() * T::of(0.5),
        4 => x.sigmoid() + y,
        5 => x.relu(),
        6 => x + turned,
        7 => x - x.sum_keepdim(-1),
        8 => x * y.mean_keepdim(-1),
        9 => x.softmax(-1),
        10 => x.log_softmax(-1),
        11 => x.gt(y).select(x, y * T::of(0.25)),
        12 => x + x.sum_axes(0),
        13 => x / (x.square().mean_keepdim(-1) + T::of(0.1)).sqrt(),
        14 => x * T::of(1.5) + T::of(0.1),
        15 => x.clamp(T::of(-1.0), T::of(1.0)),
        16 => x + y.sum(),
        17 => x.abs().sqrt(),
        18 => x - row * column,
        _ => x.slice(0, ..).exp() * T::of(0.01),
    }
}

fn agree<T: Float>(
    rows: usize,
    width: usize,
    links: &[Link],
    seed: u64,
    rare: bool,
) -> Result<(), TestCaseError> {
    let tape = Tape::new();
    let leaf = |shape: &[usize], k| tape.leaf(&elements::<T>(Shape::from(shape), seed + k, rare));
    let x = leaf(&[rows, width], 0);
    let sides = [
        leaf(&[width], 1),
        leaf(&[rows, 1], 2),
        leaf(&[width, rows], 3).t(),
    ];
    let mut values = vec![x];
    for &link in links {
        values.push(grow(&values, &sides, link));
    }
    let last = values[values.len() - 1];
    let loss = (last * T::of(0.5)).sum();
    let mut asked = vec![loss, last];
    asked.extend(
        [x, sides[0], sides[1]]
            .iter()
            .filter_map(|&v| loss.vjp(tape.constant(&Tensor::scalar(T::one())), [v])[0]),
    );
    let values = tape.run(&asked[..]);
    for (var, value) in asked.iter().zip(&values) {
        let reference = var.reference_value();
        prop_assert!(
            same_bits(value, &reference),
            "[{rows}, {width}] {links:?}: {value:?}, not {reference:?}"
        );
    }
    Ok(())
}

#[test]
fn fused_passes_give_the_bits_of_one_node_at_a_time() {
    let link = (any::<u8>(), any::<u8>()).prop_map(|(operation, other)| Link { operation, other });
    let size = |sizes: &'static [usize]| prop::sample::select(sizes);
    let case = (
        size(ROWS),
        size(WIDTHS),
        prop::collection::vec(link, 1..9),
        any::<u32>(),
        any::<bool>(),
        any::<bool>(),
    );
    let outcome = runner(3000).run(&case, |case| {
        let (rows, width, links, seed, rare, double) = case;
        prop_assume!(rows * width <= MOST);
        if double {
            agree::<f64>(rows, width, &links, u64::from(seed), rare)
        } else {
            agree::<f32>(rows, width, &links, u64::from(seed), rare)
        }
    });
    outcome.unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn passes_with_more_values_than_fit_into_a_cache_give_the_same_bits() {
    // Two hundred bytes for each element wait for the way back; blocks have other lengths than powers of two then.
    let chain = |x: Var| (0..10).fold(x, |x, _| (x * 1.1 + 0.1).tanh() * x).sum();
    for len in [1, 63, 64, 641, 5000, 40_000] {
        let tape = Tape::new();
        let x = tape.leaf(&elements::<f32>(Shape::from([len]), 7, false));
        let curvature = hvp(chain, x * 0.1, x);
        let plan = tape.explain(curvature);
        assert_eq!(plan.kernels(), 1, "{plan}");
        assert!(same_bits(&curvature.value(), &curvature.reference_value()));
    }
}

#[test]
fn reductions_of_single_elements_need_no_kernel() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::<f64>::from([[-0.0], [f64::NAN], [3.0]]));
    let sums = x.sum_axes(1) + x.max_axes(-1) + x.min_axes(1).square();
    assert_eq!(tape.explain(sums).kernels(), 1, "{}", tape.explain(sums));
    let value = sums.value();
    assert_eq!(value.shape(), &Shape::from([3]));
    assert!(value[[0]] == 0.0 && value[[1]].is_nan() && value[[2]] == 15.0);
    // Nothing is added to it: the sum keeps its sign.
    assert!(x.sum_axes(1).value()[[0]].is_sign_negative());
    assert_eq!(sums.sum().gradient(x).value()[[2, 0]], 8.0);
}

/// A function that runs a tape of its own for each element.
struct Nested;
impl<T: Float> wengert::Unary<T> for Nested {
    type Output = T;
    const NAME: &'static str = "nested";
    const READS: wengert::Reads = wengert::Reads::NOTHING;
    fn eval(x: T) -> T {
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::scalar(x));
        (x * x + T::one()).value().item()
    }
    fn vjp(_x: Var<T>, _y: Var<T>, cotangent: Var<T>) -> Var<T> {
        cotangent
    }
}

#[test]
fn an_operation_may_run_a_tape_itself() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0]));
    let y = (x * 2.0).unary::<Nested>() - 1.0;
    assert_eq!(y.value(), Tensor::from([4.0, 16.0, 36.0]));
}

/// The second function of a pair, of the result of the first and a third operand.
const SECOND: usize = 5;

fn second<T: Float>(k: usize, y: Var<T>, c: Var<T>) -> Var<T> {
    match k {
        0 => y + c,
        1 => y - c,
        2 => c - y,
        3 => y * c,
        _ => c * y,
    }
}

/// Sums, differences and products of sums, differences and products, of operands that have all elements, one for each row, one for
/// each column, or a single one.
fn pairs<T: Float>(rows: usize, width: usize) {
    let shapes = [[rows, width], [rows, 1], [1, width], [1, 1]];
    let operands = shapes.map(|shape| elements::<T>(Shape::from(shape), 7, true));
    for (a, b, c) in (0..64).map(|k| (k % 4, k / 4 % 4, k / 16)) {
        for (first, then) in (0..3 * SECOND).map(|k| (k % 3, k / 3)) {
            let tape = Tape::new();
            let [a, b, c] = [a, b, c].map(|k| tape.leaf(&operands[k]));
            let y = match first {
                0 => a + b,
                1 => a - b,
                _ => a * b,
            };
            let z = second(then, y, c);
            let value = z.value();
            assert!(
                same_bits(&value, &z.reference_value()),
                "{first}, {then} of {}, {}, {}: {value:?}",
                a.shape(),
                b.shape(),
                c.shape()
            );
        }
    }
}

#[test]
fn pairs_of_arithmetic_functions_round_as_each_alone() {
    for (rows, width) in [(1, 700), (3, 5), (2, 1024)] {
        pairs::<f32>(rows, width);
        pairs::<f64>(rows, width);
    }
}

#[test]
fn what_only_one_function_reads_is_not_stored() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::<f32>::ones([64, 64]));
    let y = x * 2.0 + x;
    let plan = tape.explain((y - 1.0) + x).to_string();
    // Two pairs: x * 2 + x, and y - 1 + x.
    assert!(
        plan.contains("1. fused pass, 1 x 4096, 2 instructions"),
        "{plan}"
    );
    // What is read twice stays what it is: the square, then z + 1 + z.
    let z = x * x;
    let plan = tape.explain((z + 1.0) + z).to_string();
    assert!(
        plan.contains("1. fused pass, 1 x 4096, 2 instructions"),
        "{plan}"
    );
}
