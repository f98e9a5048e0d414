//! A nonlinear curve fitted with `argmin`, the gradient by the scalar tape.
//!
//! `argmin` minimizes; what it wants is a cost and its gradient. The cost is written once, over
//! `num_traits::Float`, and the gradient is one line.
//!
//! Run with `cargo run --release --example curve_fit`.

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use num_traits::Float;
use wengert::scalar;

/// A damped oscillation about a level: amplitude, rate of decay, angular frequency, phase, level.
fn model<F: Float>(p: &[F], t: F) -> F {
    p[0] * (-p[1] * t).exp() * (p[2] * t + p[3]).cos() + p[4]
}

/// What was measured, and when.
struct Measurements {
    times: Vec<f64>,
    values: Vec<f64>,
}

impl Measurements {
    /// Half the sum of squared residuals. The parameters are numbers of any kind, the data are
    /// constants.
    fn cost<F: Float>(&self, p: &[F]) -> F {
        let constant = |x: f64| F::from(x).expect("every float has a value near each f64");
        let squares = self.times.iter().zip(&self.values).map(|(&t, &y)| {
            let residual = model(p, constant(t)) - constant(y);
            residual * residual
        });
        squares.fold(F::zero(), |sum, square| sum + square) * constant(0.5)
    }
}

/// All that `argmin` has to be told.
impl CostFunction for Measurements {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, p: &Vec<f64>) -> Result<f64, Error> {
        Ok(Measurements::cost(self, p))
    }
}

impl Gradient for Measurements {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, p: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let (_, gradient) = scalar::gradient(|p| Measurements::cost(self, p), p);
        Ok(gradient)
    }
}

/// A small disturbance of mean 0 that is the same on every machine: fractions of multiples of the
/// golden ratio.
fn disturbance(i: usize) -> f64 {
    let golden = 0.618_033_988_749_894_9;
    0.02 * ((i as f64 * golden).fract() - 0.5)
}

fn main() -> Result<(), Error> {
    let truth = [2.0, 0.35, 3.1, 0.4, 0.5];
    let start = vec![1.5, 0.2, 3.0, 0.2, 0.0];
    let times: Vec<f64> = (0..200).map(|i| i as f64 * 0.04).collect();
    let fit = |noise: &dyn Fn(usize) -> f64| -> Result<(Vec<f64>, f64, u64), Error> {
        let values = times
            .iter()
            .enumerate()
            .map(|(i, &t)| model(&truth, t) + noise(i))
            .collect();
        let problem = Measurements {
            times: times.clone(),
            values,
        };
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), 7).with_tolerance_grad(1e-8)?;
        let result = Executor::new(problem, solver)
            .configure(|state| state.param(start.clone()).max_iters(200))
            .run()?;
        let state = result.state();
        let best = state
            .get_best_param()
            .ok_or_else(|| Error::msg("no parameters found"))?;
        Ok((best.clone(), state.get_best_cost(), state.get_iter()))
    };

    let (exact, exact_cost, iterations) = fit(&|_| 0.0)?;
    let (noisy, noisy_cost, _) = fit(&disturbance)?;
    println!("{iterations} iterations of L-BFGS");
    println!(
        "{:>10} {:>10} {:>10} {:>10}",
        "truth", "start", "exact", "disturbed"
    );
    for i in 0..truth.len() {
        println!(
            "{:>10} {:>10} {:>10.6} {:>10.6}",
            truth[i], start[i], exact[i], noisy[i]
        );
        assert!(
            (exact[i] - truth[i]).abs() < 1e-6,
            "parameter {i}: {}",
            exact[i]
        );
        assert!(
            (noisy[i] - truth[i]).abs() < 1e-2,
            "parameter {i}: {}",
            noisy[i]
        );
    }
    println!("costs {exact_cost:.1e} and {noisy_cost:.1e}");
    assert!(exact_cost < 1e-14);

    // How sure is one of the parameters? The Hessian at the minimum tells: its inverse, times the
    // variance of the residuals, is their covariance.
    let problem = Measurements {
        values: times
            .iter()
            .enumerate()
            .map(|(i, &t)| model(&truth, t) + disturbance(i))
            .collect(),
        times,
    };
    let n = noisy.len();
    let (cost, gradient, hessian) = scalar::hessian(|p| problem.cost(p), &noisy);
    assert!(gradient.iter().all(|g| g.abs() < 1e-7));
    let variance = 2.0 * cost / (problem.times.len() - n) as f64;
    for i in 0..n {
        let deviation = (variance * solve(&hessian, n, i)).sqrt();
        println!(
            "parameter {i}: {:.4} with a standard deviation of {deviation:.4}",
            noisy[i]
        );
        assert!((noisy[i] - truth[i]).abs() < 4.0 * deviation);
    }
    Ok(())
}

/// Entry `(i, i)` of the inverse of a symmetric positive definite matrix, by elimination.
fn solve(matrix: &[f64], n: usize, i: usize) -> f64 {
    let mut a = matrix.to_vec();
    let mut b = vec![0.0; n];
    b[i] = 1.0;
    for k in 0..n {
        assert!(a[k * n + k] > 0.0, "the matrix is not positive definite");
        for row in k + 1..n {
            let factor = a[row * n + k] / a[k * n + k];
            for column in k..n {
                a[row * n + column] -= factor * a[k * n + column];
            }
            b[row] -= factor * b[k];
        }
    }
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| a[k * n + j] * b[j]).sum();
        b[k] = (b[k] - known) / a[k * n + k];
    }
    b[i]
}
