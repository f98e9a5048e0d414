//! Random programs: both executors, values asked for in any order, gradients against differences.

use super::sample::{pull, runner, same_bits};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use wengert::check::Check;
use wengert::op::table::{Row, Shapes, rows};
use wengert::{Shape, Tape, Tensor, Var};

/// Values do not grow beyond this many elements, nor axes beyond four.
const MOST_ELEMENTS: usize = 100;

/// A step of a program: which operation, on which of the variables so far, with which argument.
#[derive(Clone, Copy, Debug)]
struct Step {
    operation: u8,
    a: u16,
    b: u16,
    argument: u8,
}

/// Leaves and steps.
#[derive(Clone, Debug)]
struct Program {
    leaves: Vec<Tensor<f64>>,
    steps: Vec<Step>,
}

/// Shapes that broadcast with one another, most of them: axes from the back of [2, 3, 2, 3], some
/// of size 1, one of size 0.
fn leaf() -> impl Strategy<Value = Tensor<f64>> {
    let axis = |size: usize| prop_oneof![6 => Just(size), 2 => Just(1), 1 => Just(size + 1)];
    let nothing = prop_oneof![30 => Just(false), 1 => Just(true)];
    (
        0..=4usize,
        (axis(2), axis(3), axis(2), axis(3)),
        nothing,
        vec(-2.0..2.0, 144),
    )
        .prop_map(|(rank, (i, j, k, l), nothing, elements)| {
            let mut shape = [i, j, k, l][4 - rank..].to_vec();
            if nothing && let Some(first) = shape.first_mut() {
                *first = 0;
            }
            let mut elements = elements.into_iter();
            Tensor::from_fn(shape, |_| elements.next().unwrap_or_default())
        })
}

fn program() -> impl Strategy<Value = Program> {
    let step = (any::<u8>(), any::<u16>(), any::<u16>(), any::<u8>()).prop_map(
        |(operation, a, b, argument)| Step {
            operation,
            a,
            b,
            argument,
        },
    );
    (vec(leaf(), 1..5), vec(step, 5..40)).prop_map(|(leaves, steps)| Program { leaves, steps })
}

/// A bounded, smooth function.
fn squash(x: Var<f64>) -> Var<f64> {
    x / (x * x + 1.0).sqrt()
}

/// Views, joins, products, reductions: smooth operations, none of which grows by much. `None` where
/// the operation does not fit.
fn smooth(step: Step, x: Var<f64>, y: Var<f64>) -> Option<Var<f64>> {
    let (shape, other) = (x.shape(), y.shape());
    let rank = shape.rank() as isize;
    let argument = step.argument as isize;
    let axis = if rank == 0 { 0 } else { argument % rank };
    let has_axis = rank > 0;
    let full = has_axis && shape[axis as usize] > 0;
    let both = || Some(shape.broadcast(&other)?.size() <= MOST_ELEMENTS).filter(|&fits| fits);
    Some(match step.operation % 32 {
        0 => (both()?, x + y).1,
        1 => (both()?, x - y).1,
        2 => (both()?, squash(x * y)).1,
        3 => (both()?, x / (y * y + 1.0)).1,
        4 => squash(x),
        5 => (x * x + 1.0).ln(),
        6 => (-(x * x)).exp(),
        7 => x * 0.5 - 0.25,
        8 => 1.0 / (x * x + 2.0),
        9 if has_axis => x.t(),
        10 if has_axis => x.transpose(0, axis),
        11 if has_axis => x.permute(&(0..rank).map(|i| (i + axis) % rank).collect::<Vec<_>>()),
        12 if full => x.slice(axis, argument / 16 % shape[axis as usize] as isize..),
        13 if has_axis => x.slice_step(axis, .., 2),
        14 if has_axis => x.flip(axis),
        15 => x.flatten(),
        16 if rank < 4 => x.unsqueeze(axis),
        17 if has_axis && shape[axis as usize] == 1 => x.squeeze(axis),
        18 if has_axis && shape.size() < MOST_ELEMENTS / 4 => {
            x.pad(axis, step.argument as usize / 8 % 2, 1)
        }
        19 if full => x.at(axis, argument / 8 % shape[axis as usize] as isize),
        20 if has_axis => squash(x.sum_axes(axis)),
        21 => squash(x.sum()),
        22 if full => x.mean_axes(axis),
        23 if full => squash(x.var_keepdim(axis, 0)),
        24 if full => squash(x.logsumexp_keepdim(axis)),
        25 if full => x.softmax(axis),
        26 if full => squash(x.log_softmax(axis)),
        27 if full => squash(x.prod_axes(axis)),
        28 if has_axis && shape.size() < MOST_ELEMENTS / 3 => Var::concat(&[x, squash(x), x], axis),
        29 if rank < 4 && shape == other && shape.size() < MOST_ELEMENTS / 2 => {
            Var::stack(&[x, y], axis)
        }
        30 => {
            let inner = |s: &Shape, back: usize| s.rank().checked_sub(back).map(|i| s[i]);
            let fits = inner(&shape, 1)? == inner(&other, 2.min(other.rank().max(1)))?;
            let batches = |s: &Shape| Shape::from(&s[..s.rank().saturating_sub(2)]);
            let batch = batches(&shape).broadcast(&batches(&other))?;
            if !fits || batch.size() * 12 > MOST_ELEMENTS {
                return None;
            }
            squash(x.matmul(y))
        }
        31 if full && rank >= 2 => squash(x.matmul(x.t())),
        _ => return None,
    })
}

/// Any operation of one operand in the table, and others that have kinks or grow.
fn rough(step: Step, x: Var<f64>, y: Var<f64>, elementwise: &[Row]) -> Option<Var<f64>> {
    let full = x.shape().size() > 0;
    let both = || Some(x.shape().broadcast(&y.shape())?.size() <= MOST_ELEMENTS).filter(|&f| f);
    Some(match step.operation % 8 {
        0 => (both()?, x * y).1,
        1 => (both()?, x / y).1,
        2 => (both()?, x.maximum(y)).1,
        3 => (both()?, x.gt(y).select(x, y)).1,
        4 if full => x.max_axes(..),
        5 => (both()?, x.minimum(y.stop_gradient())).1,
        6 => return None,
        _ => (elementwise[step.argument as usize % elementwise.len()].f64)(&[x]),
    })
}

/// All variables of a program: the leaves, then a result for each step.
fn record(program: &Program, leaves: &[Var<f64>], rough_too: Option<&[Row]>) -> Vec<Var<f64>> {
    let mut all = leaves.to_vec();
    for (i, &step) in program.steps.iter().enumerate() {
        // The latest variables more often than the first ones: chains as well as fans.
        let pick = |choice: u16| {
            let back = (choice % 251) as usize % all.len();
            if choice.is_multiple_of(4) {
                all[back]
            } else {
                all[all.len() - 1 - back / 2]
            }
        };
        let (x, y) = (pick(step.a), pick(step.b));
        let found = match rough_too {
            Some(elementwise) if i % 3 == 0 => rough(step, x, y, elementwise),
            _ => smooth(step, x, y),
        };
        all.push(found.unwrap_or_else(|| squash(x * 1.5)));
    }
    all
}

/// A scalar that depends on the last few variables.
fn result(all: &[Var<f64>]) -> Var<f64> {
    let last = all.iter().rev().take(3).map(|&y| (y * y).sum());
    last.reduce(|a, b| a + b).expect("a program has leaves")
}

/// A recorded program with its gradients.
struct Recorded {
    all: Vec<Var<f64>>,
    result: Var<f64>,
    leaves: usize,
}

impl Recorded {
    fn new(tape: &Tape, program: &Program, elementwise: &[Row]) -> Self {
        let leaves: Vec<_> = program.leaves.iter().map(|x| tape.leaf(x)).collect();
        let all = record(program, &leaves, Some(elementwise));
        Recorded {
            result: result(&all),
            all,
            leaves: leaves.len(),
        }
    }

    fn gradients(&self) -> Vec<Var<f64>> {
        pull(self.result, &Tensor::scalar(1.0), &self.all[..self.leaves])
    }
}

fn same(a: &[Tensor<f64>], b: &[Tensor<f64>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_bits(a, b))
}

/// Whether values are the same bits however they are asked for.
fn compare_orders(program: &Program, elementwise: &[Row]) -> Result<(), TestCaseError> {
    // All gradients in one run, nothing before.
    let tape = Tape::new();
    let recorded = Recorded::new(&tape, program, elementwise);
    let mut asked = vec![recorded.result];
    asked.extend(recorded.gradients());
    let together = tape.run(&asked[..]);
    for (asked, value) in asked.iter().zip(&together) {
        let reference = asked.reference_value();
        prop_assert!(
            same_bits(value, &reference),
            "{value:?}, but by the reference {reference:?}"
        );
    }
    let intermediates: Vec<_> = recorded.all.iter().map(|v| v.value()).collect();
    for (var, value) in recorded.all.iter().zip(&intermediates).rev().take(3) {
        prop_assert!(
            same_bits(value, &var.reference_value()),
            "an intermediate value"
        );
    }
    // The result before the gradients are recorded: what they need is kept.
    let tape = Tape::new();
    let recorded = Recorded::new(&tape, program, elementwise);
    let before = recorded.result.value();
    let mut apart: Vec<_> = recorded
        .gradients()
        .iter()
        .rev()
        .map(|g| g.value())
        .collect();
    apart.push(before);
    apart.reverse();
    prop_assert!(
        same(&apart, &together),
        "the result first: {apart:?}, not {together:?}"
    );
    // Every intermediate value, last to first, then the gradients, some twice.
    let tape = Tape::new();
    let recorded = Recorded::new(&tape, program, elementwise);
    let mut all: Vec<_> = recorded.all.iter().rev().map(|v| v.value()).collect();
    all.reverse();
    prop_assert!(
        same(&all, &intermediates),
        "intermediate values: {all:?}, not {intermediates:?}"
    );
    let gradients = recorded.gradients();
    let (result, values) = tape.run((recorded.result, gradients.clone()));
    let values = [vec![result], values].concat();
    prop_assert!(
        same(&values, &together),
        "values first: {values:?}, not {together:?}"
    );
    let again = tape.run(gradients);
    prop_assert!(
        same(&again, &together[1..]),
        "asked again: {again:?}, not {together:?}"
    );
    Ok(())
}

/// The first-order check of a smooth program at a few coordinates.
fn compare_differences(program: &Program) -> Result<(), TestCaseError> {
    let f = |leaves: &[Var<f64>]| result(&record(program, leaves, None));
    let settings = Check::new().order(1).coordinates(2).tolerance(1e-5, 1e-7);
    let x = &program.leaves;
    match x.len() {
        1 => settings.gradients(|v: [_; 1]| f(&v), [&x[0]])?,
        2 => settings.gradients(|v: [_; 2]| f(&v), [&x[0], &x[1]])?,
        3 => settings.gradients(|v: [_; 3]| f(&v), [&x[0], &x[1], &x[2]])?,
        _ => settings.gradients(|v: [_; 4]| f(&v), [&x[0], &x[1], &x[2], &x[3]])?,
    };
    Ok(())
}

#[test]
fn executors_agree_and_the_order_of_asking_does_not_matter() {
    let one_operand = |row: &Row| row.domains.len() == 1 && matches!(row.shapes, Shapes::Broadcast);
    let elementwise: Vec<Row> = rows().into_iter().filter(one_operand).collect();
    let outcome = runner(4000).run(&program(), |program| compare_orders(&program, &elementwise));
    outcome.unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn gradients_of_programs_agree_with_differences() {
    let outcome = runner(2000).run(&program(), |program| compare_differences(&program));
    outcome.unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn programs_use_what_there_is() {
    // A strategy that only made small programs, or never reached an operation, would test nothing.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::<u8, usize>::new();
    for _ in 0..300 {
        let program = program()
            .new_tree(&mut runner)
            .expect("a program")
            .current();
        let tape = Tape::new();
        let mut all: Vec<_> = program.leaves.iter().map(|x| tape.leaf(x)).collect();
        for &step in &program.steps {
            let pick = |choice: u16| all[choice as usize % all.len()];
            if let Some(y) = smooth(step, pick(step.a), pick(step.b)) {
                *seen.entry(step.operation % 32).or_default() += 1;
                all.push(y);
            }
        }
    }
    assert!(
        seen.len() == 32 && seen.values().all(|&n| n >= 3),
        "{seen:?}"
    );
}

#[test]
fn a_view_of_part_of_a_buffer_is_not_overwritten_as_if_it_were_all() {
    // What is sliced, or broadcast to nothing, has no other reader: its buffer is free to be
    // reused, but is too long.
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, 2.0, 3.0, 4.0]));
    let short = tape.leaf(&Tensor::from([10.0, 20.0]));
    let y = (x * 2.0).slice(0, ..2) + short;
    assert_eq!(y.value(), Tensor::from([12.0, 24.0]));
    let nothing = tape.leaf(&Tensor::zeros([0, 4]));
    let z = (x * 2.0).unsqueeze(0).expand([0, 4]) + nothing;
    assert_eq!(z.value(), Tensor::zeros([0, 4]));
}
