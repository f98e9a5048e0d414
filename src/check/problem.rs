//! A function and a point: its derivatives by reverse mode, by forward mode, and by differences.

use super::difference::{Change, Difference, Precision, derivative};
use crate::element::{Any, Dtype, with_any, with_float};
use crate::op;
use crate::random::rng;
use crate::shape::Shape;
use crate::tape::{AnyVar, Tape, TapeRef, Var};
use crate::tensor::{AnyTensor, Tensor};
use crate::transform::pull_back;
use rand::Rng;
use rand::seq::index;

/// Something that derivatives are taken with respect to.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub name: String,
    /// Of a floating-point type.
    pub value: AnyTensor,
}

impl Point {
    pub fn shape(&self) -> &Shape {
        with_any!(&self.value, value => value.shape())
    }

    /// The elements in row-major order.
    fn elements(&self) -> Vec<f64> {
        match &self.value {
            Any::F32(value) => value.iter().map(f64::from).collect(),
            Any::F64(value) => value.to_vec(),
            _ => unreachable!("points are of floating-point types"),
        }
    }

    /// The same with another number in one place.
    fn moved(&self, position: usize, x: f64) -> AnyTensor {
        let mut value = self.value.clone();
        match &mut value {
            Any::F32(value) => value.as_mut_slice()[position] = x as f32,
            Any::F64(value) => value.as_mut_slice()[position] = x,
            _ => unreachable!("points are of floating-point types"),
        }
        value
    }
}

/// A function as it is recorded: what it gives at some values of the points, and the leaves of these.
pub(super) type Recording<'a> = &'a dyn Fn(TapeRef, &[AnyTensor]) -> (AnyVar, Vec<AnyVar>);

/// What a level is at a point: each result with its weights.
type Values = Vec<(Tensor<f64>, Tensor<f64>)>;

/// The derivative of one order with respect to one point.
#[derive(Debug)]
pub(super) struct Derivative {
    /// `None` where reverse mode finds no path.
    pub reverse: Option<Vec<f64>>,
    /// Along a direction, by reverse mode and by forward mode, and the sum of the magnitudes of what
    /// was added up; `None` where there is no path.
    pub along: Option<(f64, f64, f64)>,
}

/// A function with the points at which it is checked.
///
/// Level 0 is the function itself; level `n + 1` are its derivatives with respect to the points, of
/// the scalar product of level `n` with fixed random weights.
pub(super) struct Problem<'a> {
    function: Recording<'a>,
    points: Vec<Point>,
    pub precision: Precision,
    tape: Tape,
    /// What the levels are where nothing was moved, as far as that was asked for.
    here: Vec<Values>,
}

impl<'a> Problem<'a> {
    #[track_caller]
    pub fn new(function: Recording<'a>, points: Vec<Point>) -> Self {
        let tape = Tape::new();
        let values: Vec<AnyTensor> = points.iter().map(|p| p.value.clone()).collect();
        let (output, _) = function(*tape, &values);
        assert!(
            output.tape() == *tape,
            "check: the function gives a variable of another tape than its inputs"
        );
        let single = |dtype| dtype == Dtype::F32;
        let precision = if single(output.dtype()) || points.iter().any(|p| single(p.value.dtype()))
        {
            Precision::SINGLE
        } else {
            Precision::DOUBLE
        };
        Problem {
            function,
            points,
            precision,
            tape,
            here: Vec::new(),
        }
    }

    pub fn points(&self) -> &[Point] {
        &self.points
    }

    fn values(&self) -> Vec<AnyTensor> {
        self.points.iter().map(|p| p.value.clone()).collect()
    }

    /// The derivatives of each order from 1 to `order` with respect to each point.
    pub fn derivatives(&mut self, order: usize) -> Vec<Vec<Derivative>> {
        self.tape.reset();
        let levels = record(self.function, *self.tape, &self.values(), order);
        let below = levels.outputs.iter().zip(&levels.derivatives);
        let of_level = |(level, (outputs, found)): (usize, (&Vec<Weighted>, &Vec<_>))| {
            let seeds = (1000 * (level + 1)) as u64..;
            let each = found.iter().zip(seeds);
            each.map(|(&gradient, seed)| self.look(outputs, gradient, seed))
                .collect()
        };
        below.enumerate().map(of_level).collect()
    }

    /// A derivative of what a level gives, by both modes.
    fn look(&self, outputs: &[Weighted], gradient: Option<Var<f64>>, seed: u64) -> Derivative {
        let Some(gradient) = gradient else {
            return Derivative {
                reverse: None,
                along: None,
            };
        };
        let direction = weights(&gradient.shape(), seed);
        let tangents = jvp(outputs, gradient, self.tape.constant(&direction));
        let asked: Vec<Var<f64>> = tangents.iter().flatten().copied().collect();
        let (reverse, tangents_found) = self.tape.run((gradient, asked));
        let (along, size) = dot(&reverse, &direction);
        let reached = outputs.iter().zip(&tangents).filter(|(_, t)| t.is_some());
        let forward = reached
            .zip(&tangents_found)
            .map(|((output, _), tangent)| dot(&output.weights, tangent).0)
            .sum();
        Derivative {
            reverse: Some(reverse.to_vec()),
            along: Some((along, forward, size)),
        }
    }

    /// The derivative of the weighted sum of a level with respect to one coordinate of a point, by
    /// differences.
    pub fn difference(&mut self, level: usize, point: usize, position: usize) -> Difference {
        while self.here.len() <= level {
            let values = self.values();
            let here = self.level(self.here.len(), &values);
            self.here.push(here);
        }
        let x = self.points[point].elements()[position];
        let precision = self.precision;
        let here = std::mem::take(&mut self.here[level]);
        let mut values = self.values();
        let at = |x| {
            values[point] = self.points[point].moved(position, x);
            self.level(level, &values)
        };
        let found = derivative(x, &precision, &here, at, change);
        self.here[level] = here;
        found
    }

    /// What a level gives.
    fn level(&mut self, level: usize, values: &[AnyTensor]) -> Values {
        self.tape.reset();
        let mut levels = record(self.function, *self.tape, values, level);
        let outputs = levels.outputs.swap_remove(level);
        let found: Vec<Var<f64>> = outputs.iter().map(|output| output.value).collect();
        let found = self.tape.run(found);
        let weights = outputs.into_iter().map(|output| output.weights);
        weights.zip(found).collect()
    }

    /// Whether the function gives the same at the points each time it is recorded.
    pub fn repeats(&mut self) -> bool {
        let values = self.values();
        let [first, second] = [0, 0].map(|level| self.level(level, &values));
        first.iter().zip(&second).all(|((_, a), (_, b))| {
            let mut pairs = a.iter().zip(b.iter());
            a.shape() == b.shape() && pairs.all(|(a, b)| a == b || a.is_nan() && b.is_nan())
        })
    }

    /// The positions of a point, in row-major order, that are compared: all, or a random choice of
    /// `most`.
    pub fn coordinates(&self, point: usize, most: usize) -> Vec<usize> {
        chosen(self.points[point].shape().size(), most, point as u64)
    }
}

/// All of `len` positions, or a random choice of `most`.
pub(super) fn chosen(len: usize, most: usize, seed: u64) -> Vec<usize> {
    if len <= most {
        return (0..len).collect();
    }
    let mut chosen = index::sample(&mut rng(seed), len, most).into_vec();
    chosen.sort_unstable();
    chosen
}

/// How the weighted sum of a level changes from one place to another.
fn change(to: &Values, from: &Values) -> Change {
    let mut change = Change::NONE;
    for ((weights, to), (_, from)) in to.iter().zip(from) {
        let pairs = to.iter().zip(from);
        for (weight, (to, from)) in weights.iter().zip(pairs) {
            change = change.and(weight, to, from);
        }
    }
    change
}

/// A scalar product, and the sum of the magnitudes of its terms.
fn dot(a: &Tensor<f64>, b: &Tensor<f64>) -> (f64, f64) {
    let terms = a.iter().zip(b.iter()).map(|(a, b)| a * b);
    terms.fold((0.0, 0.0), |(sum, size), term| {
        (sum + term, size + term.abs())
    })
}

/// A result of a level, and what it is multiplied with.
struct Weighted {
    weights: Tensor<f64>,
    /// The weights as a leaf: the cotangent of the result.
    cotangent: Var<f64>,
    value: Var<f64>,
}

/// The levels of a function as they were recorded.
struct Levels {
    /// The results of each level, from 0 on.
    outputs: Vec<Vec<Weighted>>,
    /// The derivatives of each level but the last with respect to each point; `None` where reverse
    /// mode finds no path.
    derivatives: Vec<Vec<Option<Var<f64>>>>,
}

/// Records a level, and all levels below it.
fn record(function: Recording<'_>, tape: TapeRef, values: &[AnyTensor], level: usize) -> Levels {
    let (output, leaves) = function(tape, values);
    let mut outputs = vec![vec![weighted(double(output), 0)]];
    let mut derivatives = Vec::new();
    for order in 1..=level {
        let terms = outputs[order - 1].iter();
        let terms = terms.map(|o| (o.cotangent * o.value).sum());
        let found: Vec<Option<Var<f64>>> = match terms.reduce(|a, b| a + b) {
            Some(sum) => pull_back(sum.erase(), op::seed(sum.erase()), &leaves)
                .into_iter()
                .map(|found| found.map(double))
                .collect(),
            None => vec![None; leaves.len()],
        };
        let reached = found.iter().enumerate();
        let next = reached
            .filter_map(|(k, d)| Some(weighted((*d)?, (order * leaves.len() + k + 1) as u64)))
            .collect();
        outputs.push(next);
        derivatives.push(found);
    }
    Levels {
        outputs,
        derivatives,
    }
}

/// Forward mode: how each result changes along `direction`, given the cotangent of a point as reverse
/// mode recorded it; `None` where it does not.
///
/// Reverse mode is linear in the cotangents of the results, `g = J^T c`, so the derivative of
/// `<g, v>` with respect to `c` is `J v`: the reverse of the reverse.
fn jvp(outputs: &[Weighted], gradient: Var<f64>, direction: Var<f64>) -> Vec<Option<Var<f64>>> {
    let cotangents: Vec<AnyVar> = outputs.iter().map(|o| o.cotangent.erase()).collect();
    let tangents = pull_back(gradient.erase(), direction.erase(), &cotangents);
    tangents.into_iter().map(|t| t.map(double)).collect()
}

/// A variable in double precision, in which results are weighted and added up.
fn double(variable: AnyVar) -> Var<f64> {
    with_float!(variable.dtype(), T => variable.assume::<T>().cast())
}

/// A value with its weights, which are one for a scalar.
fn weighted(value: Var<f64>, seed: u64) -> Weighted {
    let shape: Shape = value.shape();
    let weights = match shape.rank() {
        0 => Tensor::scalar(1.0),
        _ => weights(&shape, seed),
    };
    Weighted {
        cotangent: value.tape().leaf(&weights),
        weights,
        value,
    }
}

/// Magnitudes from 0.5 to 1.5 of either sign, so that none vanishes.
pub(super) fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut rng = rng(seed);
    move || {
        let bits = rng.next_u64();
        let magnitude = 0.5 + (bits >> 11) as f64 / (1u64 << 53) as f64;
        if bits & 1 == 0 { magnitude } else { -magnitude }
    }
}

/// Random numbers for what is of a shape.
pub(super) fn weights(shape: &Shape, seed: u64) -> Tensor<f64> {
    let mut number = numbers(seed);
    Tensor::from_fn(shape, |_| number())
}
