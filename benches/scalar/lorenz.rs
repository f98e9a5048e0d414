//! The system of E. Lorenz (1963), integrated with the classical method of Runge and Kutta: the sum of squares of the last state,
//! by the first state and the three parameters.

use std::time::Duration;

use crate::data::Generator;
use crate::workload::{Form, Number, Run, Workload, squares};

const STEP: f64 = 2e-4;

#[derive(Debug)]
pub struct Lorenz {
    steps: usize,
    /// The state, and sigma, rho, beta.
    x: [f64; 6],
}

impl Lorenz {
    pub fn new(steps: usize) -> Self {
        let mut generator = Generator::new(5);
        let mut near = |x: f64| x + 0.1 * generator.uniform();
        let x = [1.0, 1.0, 20.0, 10.0, 28.0, 8.0 / 3.0].map(&mut near);
        Lorenz { steps, x }
    }
}

fn slope<S: Number>([x, y, z]: [S; 3], [sigma, rho, beta]: [S; 3]) -> [S; 3] {
    [sigma * (y - x), x * (rho - z) - y, x * y - beta * z]
}

fn step<S: Number>(u: [S; 3], p: [S; 3]) -> [S; 3] {
    let moved = |k: [S; 3], h: f64| std::array::from_fn(|i| u[i] + k[i] * h);
    let a = slope(u, p);
    let b = slope(moved(a, STEP / 2.0), p);
    let c = slope(moved(b, STEP / 2.0), p);
    let d = slope(moved(c, STEP), p);
    std::array::from_fn(|i| u[i] + (a[i] + b[i] * 2.0 + c[i] * 2.0 + d[i]) * (STEP / 6.0))
}

/// The same with the last sum as one node.
fn step_nary<S: Number>(u: [S; 3], p: [S; 3]) -> [S; 3] {
    const WEIGHTS: [f64; 5] = [1.0, STEP / 6.0, STEP / 3.0, STEP / 3.0, STEP / 6.0];
    let moved = |k: [S; 3], h: f64| std::array::from_fn(|i| u[i] + k[i] * h);
    let a = slope(u, p);
    let b = slope(moved(a, STEP / 2.0), p);
    let c = slope(moved(b, STEP / 2.0), p);
    let d = slope(moved(c, STEP), p);
    std::array::from_fn(|i| {
        wengert::scalar::linear_combination(&WEIGHTS, &[u[i], a[i], b[i], c[i], d[i]])
    })
}

fn function<S: Number>(x: &[S], steps: usize, form: Form) -> S {
    let p = [x[3], x[4], x[5]];
    let mut u = [x[0], x[1], x[2]];
    for _ in 0..steps {
        u = match form {
            Form::Source => step(u, p),
            Form::Nary => step_nary(u, p),
        };
    }
    squares(&u, form)
}

/// Adds what the cotangent of a slope means for the state and the parameters.
fn slope_back(
    [x, y, z]: [f64; 3],
    [sigma, rho, beta]: [f64; 3],
    k: [f64; 3],
    state: &mut [f64; 3],
    parameters: &mut [f64; 3],
) {
    parameters[0] += k[0] * (y - x);
    parameters[1] += k[1] * x;
    parameters[2] -= k[2] * z;
    state[0] += k[1] * (rho - z) + k[2] * y - k[0] * sigma;
    state[1] += k[0] * sigma - k[1] + k[2] * x;
    state[2] -= k[1] * x + k[2] * beta;
}

impl Workload for Lorenz {
    fn name(&self) -> &'static str {
        "lorenz"
    }

    /// A slope has 8, a stage 6, and the last sum 7 in each of three components; the squares at the end have 5.
    fn operations(&self) -> usize {
        self.steps * (4 * 8 + 3 * 6 + 3 * 7) + 5
    }

    fn point(&self) -> &[f64] {
        &self.x
    }

    fn plain(&self) -> f64 {
        function(&self.x, self.steps, Form::Source)
    }

    fn by_hand(&self, gradient: &mut [f64]) -> f64 {
        let [x, y, z, sigma, rho, beta] = self.x;
        let p = [sigma, rho, beta];
        let mut states = Vec::with_capacity(self.steps + 1);
        let mut u = [x, y, z];
        for _ in 0..self.steps {
            states.push(u);
            u = step(u, p);
        }
        let value = squares(&u, Form::Source);
        let mut by_state = u.map(|u| 2.0 * u);
        let mut by_parameters = [0.0; 3];
        for &u in states.iter().rev() {
            // The stages once more, then back through them, last first.
            let moved = |k: [f64; 3], h: f64| std::array::from_fn(|i| u[i] + k[i] * h);
            let at_b = moved(slope(u, p), STEP / 2.0);
            let at_c = moved(slope(at_b, p), STEP / 2.0);
            let at_d = moved(slope(at_c, p), STEP);
            let end = by_state;
            let mut cotangent = end.map(|e| e * (STEP / 6.0));
            for (at, weight, h) in [
                (at_d, STEP / 3.0, STEP),
                (at_c, STEP / 3.0, STEP / 2.0),
                (at_b, STEP / 6.0, STEP / 2.0),
            ] {
                let mut stage = [0.0; 3];
                slope_back(at, p, cotangent, &mut stage, &mut by_parameters);
                for i in 0..3 {
                    by_state[i] += stage[i];
                    cotangent[i] = end[i] * weight + stage[i] * h;
                }
            }
            slope_back(u, p, cotangent, &mut by_state, &mut by_parameters);
        }
        gradient[..3].copy_from_slice(&by_state);
        gradient[3..].copy_from_slice(&by_parameters);
        value
    }

    fn by_tape(&self, run: &mut Run, form: Form, gradient: &mut [f64]) -> (f64, [Duration; 2]) {
        match form {
            Form::Source => {
                run.gradient(|x| function(x, self.steps, Form::Source), &self.x, gradient)
            }
            Form::Nary => run.gradient(|x| function(x, self.steps, Form::Nary), &self.x, gradient),
        }
    }

    fn along(&self, derivative: usize, step: f64) -> f64 {
        let mut x = self.x;
        x[derivative] += step;
        function(&x, self.steps, Form::Source)
    }
}
