//! The log-likelihood of a mixture of Gaussians with a Wishart prior, as ADBench defines it (Srajer, Kukelova and Fitzgibbon,
//! 2018), by mixture weights, means and inverse covariance factors.
//!
//! A factor is lower triangular: its diagonal as logarithms, then the rest by columns.

use std::time::Duration;

use crate::data::Generator;
use crate::workload::{Form, Number, Run, Workload, one_function, squares};

/// The dimension.
const D: usize = 10;
/// Numbers of a factor: the diagonal and the rest.
const FACTOR: usize = D * (D + 1) / 2;
/// The parameters `gamma` and `m` of the Wishart distribution.
const GAMMA: f64 = 1.0;
const M: f64 = 0.0;

#[derive(Debug)]
pub struct Gmm {
    components: usize,
    points: Vec<[f64; D]>,
    /// Logarithms of weights; means; factors.
    x: Vec<f64>,
}

impl Gmm {
    pub fn new(components: usize, points: usize) -> Self {
        let mut generator = Generator::new(2);
        let points = (0..points)
            .map(|_| std::array::from_fn(|_| generator.normal()))
            .collect();
        let mut x = generator.normals(components, 1.0);
        x.extend(generator.normals(components * D, 1.0));
        x.extend(generator.normals(components * FACTOR, 0.3));
        Gmm {
            components,
            points,
            x,
        }
    }

    /// What does not depend on the variables: of the likelihood, and of the prior.
    fn constant(&self) -> f64 {
        let (d, n) = (D as f64, self.points.len() as f64);
        let freedom = d + M + 1.0;
        let ln_2 = std::f64::consts::LN_2;
        let ln_multigamma = 0.25 * d * (d - 1.0) * std::f64::consts::PI.ln()
            + (0..D)
                .map(|j| wengert::scalar::Real::ln_gamma(0.5 * (freedom - j as f64)))
                .sum::<f64>();
        let prior = freedom * d * (GAMMA.ln() - 0.5 * ln_2) - ln_multigamma;
        -n * d * 0.5 * std::f64::consts::TAU.ln() - self.components as f64 * prior
    }
}

fn log_sum_exp<S: Number>(x: &[S], form: Form) -> S {
    if form == Form::Nary {
        return wengert::scalar::log_sum_exp(x);
    }
    let largest = x[1..].iter().fold(x[0], |m, &x| if x > m { x } else { m });
    x.iter()
        .fold(S::zero(), |sum, &x| sum + (x - largest).exp())
        .ln()
        + largest
}

/// A factor by rows, with the diagonal itself, and the sum of the logarithms of the diagonal.
fn rows<S: Number>(factor: &[S]) -> ([[S; D]; D], S) {
    let mut rows = [[S::zero(); D]; D];
    let mut sum = S::zero();
    let mut rest = factor[D..].iter();
    for i in 0..D {
        sum += factor[i];
        rows[i][i] = factor[i].exp();
        for (row, &x) in rows[i + 1..].iter_mut().zip(&mut rest) {
            row[i] = x;
        }
    }
    (rows, sum)
}

fn function<S: Number>(x: &[S], gmm: &Gmm, form: Form) -> S {
    let k = gmm.components;
    let (alphas, rest) = x.split_at(k);
    let (means, factors) = rest.split_at(k * D);
    let prepared: Vec<([[S; D]; D], S)> = factors.chunks_exact(FACTOR).map(rows).collect();
    let mut total = S::zero();
    let mut terms = vec![S::zero(); k];
    for point in &gmm.points {
        for (c, (rows, sum)) in prepared.iter().enumerate() {
            let mean = &means[c * D..(c + 1) * D];
            let centered: [S; D] = std::array::from_fn(|i| mean[i] - point[i]);
            let turned: [S; D] = std::array::from_fn(|j| {
                if form == Form::Nary {
                    return wengert::scalar::dot(&rows[j][..=j], &centered[..=j]);
                }
                let diagonal = rows[j][j] * centered[j];
                (0..j).fold(diagonal, |sum, i| sum + rows[j][i] * centered[i])
            });
            terms[c] = alphas[c] + *sum - squares(&turned, form) * 0.5;
        }
        total += log_sum_exp(&terms, form);
    }
    let mut prior = S::zero();
    for (factor, (rows, sum)) in factors.chunks_exact(FACTOR).zip(&prepared) {
        let diagonal: [S; D] = std::array::from_fn(|i| rows[i][i]);
        let frobenius = squares(&diagonal, form) + squares(&factor[D..], form);
        prior += frobenius * (0.5 * GAMMA * GAMMA) - *sum * M;
    }
    total - log_sum_exp(alphas, form) * gmm.points.len() as f64 + prior + gmm.constant()
}

impl Workload for Gmm {
    fn name(&self) -> &'static str {
        "gmm"
    }

    fn operations(&self) -> usize {
        let (k, n) = (self.components, self.points.len());
        let log_sum_exp = 3 * k + 2;
        // Centering, the product with the factor, the squares, and the term.
        let term = D + D * D + (2 * D - 1) + 3;
        let prior = (2 * D - 1) + (2 * (FACTOR - D) - 1) + 5;
        n * (k * term + log_sum_exp + 1) + k * (2 * D + prior) + log_sum_exp + 4
    }

    fn point(&self) -> &[f64] {
        &self.x
    }

    fn plain(&self) -> f64 {
        function(&self.x, self, Form::Source)
    }

    fn by_hand(&self, gradient: &mut [f64]) -> f64 {
        let (k, n) = (self.components, self.points.len() as f64);
        let (alphas, rest) = self.x.split_at(k);
        let (means, factors) = rest.split_at(k * D);
        gradient.fill(0.0);
        let (by_alphas, rest) = gradient.split_at_mut(k);
        let (by_means, by_factors) = rest.split_at_mut(k * D);
        let prepared: Vec<([[f64; D]; D], f64)> = factors.chunks_exact(FACTOR).map(rows).collect();
        let mut by_rows = vec![[[0.0; D]; D]; k];
        let mut by_sums = vec![0.0; k];
        let mut terms = vec![0.0; k];
        let mut parts = vec![([0.0; D], [0.0; D]); k];
        let mut value = self.constant();
        for point in &self.points {
            for (c, (rows, sum)) in prepared.iter().enumerate() {
                let centered: [f64; D] = std::array::from_fn(|i| means[c * D + i] - point[i]);
                let turned: [f64; D] =
                    std::array::from_fn(|j| (0..=j).map(|i| rows[j][i] * centered[i]).sum());
                terms[c] = alphas[c] + sum - 0.5 * squares(&turned, Form::Source);
                parts[c] = (centered, turned);
            }
            let total = log_sum_exp(&terms, Form::Source);
            value += total;
            for (c, (centered, turned)) in parts.iter().enumerate() {
                let share = (terms[c] - total).exp();
                by_alphas[c] += share;
                by_sums[c] += share;
                let (rows, by_rows) = (&prepared[c].0, &mut by_rows[c]);
                let by_mean = &mut by_means[c * D..(c + 1) * D];
                for j in 0..D {
                    let cotangent = -share * turned[j];
                    for i in 0..=j {
                        by_rows[j][i] += cotangent * centered[i];
                        by_mean[i] += cotangent * rows[j][i];
                    }
                }
            }
        }
        let total = log_sum_exp(alphas, Form::Source);
        value -= n * total;
        for c in 0..k {
            by_alphas[c] -= n * (alphas[c] - total).exp();
            let (rows, sum) = &prepared[c];
            let by_factor = &mut by_factors[c * FACTOR..(c + 1) * FACTOR];
            value -= M * sum;
            let mut place = D;
            for i in 0..D {
                for j in i..D {
                    let x = rows[j][i];
                    value += 0.5 * GAMMA * GAMMA * x * x;
                    let by_entry = by_rows[c][j][i] + GAMMA * GAMMA * x;
                    if i == j {
                        by_factor[i] = by_entry * x + by_sums[c] - M;
                    } else {
                        by_factor[place] = by_entry;
                        place += 1;
                    }
                }
            }
        }
        value
    }

    one_function!();
}
