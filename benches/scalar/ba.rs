//! Bundle adjustment as ADBench defines it (Srajer, Kukelova and Fitzgibbon, 2018): for each observation the two weighted errors
//! of the projection of a point by a camera, by the camera, the point and the weight.
//!
//! A camera has a rotation by angle and axis, a center, a focal length, a principal point, and two numbers of radial distortion.
//! The errors of weights, which ADBench has beside them, are left out: two operations each.

use std::time::{Duration, Instant};

use crate::data::Generator;
use crate::workload::{Form, Number, Run, Workload};

/// Numbers of a camera, and the variables of an observation.
const CAMERA: usize = 11;
const N: usize = CAMERA + 4;

#[derive(Debug)]
pub struct Ba {
    observations: Vec<([f64; N], [f64; 2])>,
    /// The variables of all observations, one after another.
    x: Vec<f64>,
}

impl Ba {
    pub fn new(observations: usize) -> Self {
        let mut generator = Generator::new(3);
        let observations: Vec<_> = (0..observations)
            .map(|_| {
                let mut x = [0.0; N];
                for x in &mut x[..6] {
                    *x = 0.3 * generator.normal();
                }
                x[6] = 500.0 + 50.0 * generator.normal();
                x[7] = 10.0 * generator.normal();
                x[8] = 10.0 * generator.normal();
                x[9] = 0.05 * generator.normal();
                x[10] = 0.01 * generator.normal();
                x[11] = generator.normal();
                x[12] = generator.normal();
                x[13] = 5.0 + 0.5 * generator.normal();
                x[14] = 0.5 + generator.uniform();
                (x, [100.0 * generator.normal(), 100.0 * generator.normal()])
            })
            .collect();
        let x = observations.iter().flat_map(|o| o.0).collect();
        Ba { observations, x }
    }
}

fn cross<S: Number>(a: [S; 3], b: [S; 3]) -> [S; 3] {
    std::array::from_fn(|i| {
        let (j, k) = ((i + 1) % 3, (i + 2) % 3);
        a[j] * b[k] - a[k] * b[j]
    })
}

fn dot<S: Number>(a: [S; 3], b: [S; 3], form: Form) -> S {
    match form {
        Form::Source => a[0] * b[0] + a[1] * b[1] + a[2] * b[2],
        Form::Nary => wengert::scalar::dot(&a, &b),
    }
}

/// A point turned about an axis by the length of the axis (Rodrigues, 1840).
fn rotated<S: Number>(axis: [S; 3], point: [S; 3], form: Form) -> [S; 3] {
    let square = dot(axis, axis, form);
    if square == S::zero() {
        let turned = cross(axis, point);
        return std::array::from_fn(|i| point[i] + turned[i]);
    }
    let angle = square.sqrt();
    let (cos, sin) = (angle.cos(), angle.sin());
    let inverse = angle.recip();
    let unit = axis.map(|x| x * inverse);
    let turned = cross(unit, point);
    let along = dot(unit, point, form) * (S::one() - cos);
    std::array::from_fn(|i| {
        if form == Form::Nary {
            return wengert::scalar::dot(&[point[i], turned[i], unit[i]], &[cos, sin, along]);
        }
        point[i] * cos + turned[i] * sin + unit[i] * along
    })
}

fn errors<S: Number>(x: &[S], observed: [f64; 2], form: Form) -> [S; 2] {
    let center: [S; 3] = std::array::from_fn(|i| x[CAMERA + i] - x[3 + i]);
    let [a, b, c] = rotated([x[0], x[1], x[2]], center, form);
    let (u, v) = (a / c, b / c);
    let square = u * u + v * v;
    let distortion = x[9] * square + 1.0 + x[10] * square * square;
    let weight = x[N - 1];
    [
        weight * (u * distortion * x[6] + x[7] - observed[0]),
        weight * (v * distortion * x[6] + x[8] - observed[1]),
    ]
}

impl Workload for Ba {
    fn name(&self) -> &'static str {
        "ba"
    }

    /// The difference 3, the rotation 43, the projection 2, the distortion 10, the image 4, and the errors 4.
    fn operations(&self) -> usize {
        self.observations.len() * 66
    }

    fn point(&self) -> &[f64] {
        &self.x
    }

    fn derivatives(&self) -> usize {
        2 * self.x.len()
    }

    fn plain(&self) -> f64 {
        self.observations.iter().fold(0.0, |sum, (x, observed)| {
            let [a, b] = errors(x, *observed, Form::Source);
            sum + a + b
        })
    }

    fn by_hand(&self, jacobian: &mut [f64]) -> f64 {
        let mut sum = 0.0;
        for ((x, observed), rows) in self
            .observations
            .iter()
            .zip(jacobian.chunks_exact_mut(2 * N))
        {
            let center: [f64; 3] = std::array::from_fn(|i| x[CAMERA + i] - x[3 + i]);
            let axis = [x[0], x[1], x[2]];
            let angle = dot(axis, axis, Form::Source).sqrt();
            let (sin, cos) = angle.sin_cos();
            let unit = axis.map(|r| r / angle);
            let turned = cross(unit, center);
            let along = dot(unit, center, Form::Source);
            let point: [f64; 3] = std::array::from_fn(|i| {
                center[i] * cos + turned[i] * sin + unit[i] * along * (1.0 - cos)
            });
            // Columns of the derivative of the turned point by the center, which are the rotation itself, and by the axis.
            let columns: [[f64; 3]; 6] = std::array::from_fn(|column| {
                let j = column % 3;
                let e: [f64; 3] = std::array::from_fn(|i| f64::from(i == j));
                if column < 3 {
                    let turned = cross(unit, e);
                    return std::array::from_fn(|i| {
                        e[i] * cos + turned[i] * sin + unit[i] * unit[j] * (1.0 - cos)
                    });
                }
                let unit_j: [f64; 3] = std::array::from_fn(|i| (e[i] - unit[i] * unit[j]) / angle);
                let turned_j = cross(unit_j, center);
                let along_j = dot(unit_j, center, Form::Source);
                std::array::from_fn(|i| {
                    (turned[i] * cos - center[i] * sin + unit[i] * along * sin) * unit[j]
                        + turned_j[i] * sin
                        + (unit_j[i] * along + unit[i] * along_j) * (1.0 - cos)
                })
            });
            let (u, v) = (point[0] / point[2], point[1] / point[2]);
            let square = u * u + v * v;
            let distortion = 1.0 + x[9] * square + x[10] * square * square;
            let slope = 2.0 * (x[9] + 2.0 * x[10] * square);
            let weight = x[N - 1];
            for (row, (p, q)) in [(u, v), (v, u)].into_iter().enumerate() {
                let out = &mut rows[row * N..(row + 1) * N];
                let scale = weight * x[6];
                // By the coordinate of the image that it is, and by the other one.
                let own = scale * (distortion + p * p * slope);
                let other = scale * p * q * slope;
                let mut by_point = [0.0; 3];
                by_point[row] = own / point[2];
                by_point[1 - row] = other / point[2];
                by_point[2] = -(own * p + other * q) / point[2];
                for j in 0..3 {
                    out[CAMERA + j] = dot(by_point, columns[j], Form::Source);
                    out[3 + j] = -out[CAMERA + j];
                    out[j] = dot(by_point, columns[3 + j], Form::Source);
                }
                let error = p * distortion * x[6] + x[7 + row] - observed[row];
                out[6] = weight * p * distortion;
                out[7 + row] = weight;
                out[8 - row] = 0.0;
                out[9] = scale * p * square;
                out[10] = scale * p * square * square;
                out[N - 1] = error;
                sum += weight * error;
            }
        }
        sum
    }

    fn by_tape(&self, run: &mut Run, form: Form, jacobian: &mut [f64]) -> (f64, [Duration; 2]) {
        let start = Instant::now();
        let mut sum = 0.0;
        for ((x, observed), rows) in self
            .observations
            .iter()
            .zip(jacobian.chunks_exact_mut(2 * N))
        {
            let errors = record(run, x, *observed, form);
            sum += errors[0].value() + errors[1].value();
            run.tape.jacobian_into(&errors, &run.vars, rows);
        }
        let both = start.elapsed();
        (run.bytes, run.nodes) = (run.tape.bytes(), run.tape.nodes());
        // Too short to be timed one by one: recording is timed alone.
        let start = Instant::now();
        for (x, observed) in &self.observations {
            std::hint::black_box(record(run, x, *observed, form));
        }
        let recorded = start.elapsed().min(both);
        run.bytes *= self.observations.len();
        run.nodes *= self.observations.len();
        (sum, [recorded, both - recorded])
    }

    fn along(&self, derivative: usize, step: f64) -> f64 {
        let (mut x, observed) = self.observations[derivative / (2 * N)];
        x[derivative % N] += step;
        errors(&x, observed, Form::Source)[derivative % (2 * N) / N]
    }
}

fn record(
    run: &mut Run,
    x: &[f64],
    observed: [f64; 2],
    form: Form,
) -> [wengert::scalar::Scalar<f64>; 2] {
    run.tape.reset();
    run.tape.vars_into(x, &mut run.vars);
    match form {
        Form::Source => errors(&run.vars, observed, Form::Source),
        Form::Nary => errors(&run.vars, observed, Form::Nary),
    }
}
