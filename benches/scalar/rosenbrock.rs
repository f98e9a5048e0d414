//! Rosenbrock's function of many variables: `sum_i 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2`.

use std::time::Duration;

use crate::data::Generator;
use crate::workload::{Form, Number, Run, Workload};

#[derive(Debug)]
pub struct Rosenbrock {
    name: &'static str,
    x: Vec<f64>,
}

impl Rosenbrock {
    pub fn new(name: &'static str, n: usize) -> Self {
        let mut generator = Generator::new(1);
        let x = (0..n).map(|_| generator.uniform() * 2.0 - 0.5).collect();
        Rosenbrock { name, x }
    }
}

pub fn function<S: Number>(x: &[S]) -> S {
    let mut sum = S::zero();
    for pair in x.windows(2) {
        let curve = pair[1] - pair[0] * pair[0];
        let rest = -(pair[0] - 1.0);
        sum += curve * curve * 100.0 + rest * rest;
    }
    sum
}

/// The same with one sum of all terms, which are gathered in a buffer.
pub fn function_nary<S: Number>(x: &[S], terms: &mut Vec<S>) -> S {
    let term = |i: usize| {
        let (x, next) = (x[i / 2], x[i / 2 + 1]);
        if i.is_multiple_of(2) {
            let curve = next - x * x;
            curve * curve * 100.0
        } else {
            let rest = x - 1.0;
            rest * rest
        }
    };
    terms.clear();
    terms.extend((0..2 * (x.len() - 1)).map(term));
    wengert::scalar::sum(terms)
}

impl Workload for Rosenbrock {
    fn name(&self) -> &'static str {
        self.name
    }

    /// In a term, 3 for the curve and its square, 1 for the factor, 2 for the rest and its square, and 2 additions.
    fn operations(&self) -> usize {
        8 * (self.x.len() - 1)
    }

    fn point(&self) -> &[f64] {
        &self.x
    }

    fn plain(&self) -> f64 {
        function(&self.x)
    }

    fn by_hand(&self, gradient: &mut [f64]) -> f64 {
        let mut sum = 0.0;
        gradient.fill(0.0);
        for (i, pair) in self.x.windows(2).enumerate() {
            let curve = pair[1] - pair[0] * pair[0];
            let rest = 1.0 - pair[0];
            sum += 100.0 * curve * curve + rest * rest;
            gradient[i] -= 400.0 * curve * pair[0] + 2.0 * rest;
            gradient[i + 1] += 200.0 * curve;
        }
        sum
    }

    fn by_tape(&self, run: &mut Run, form: Form, gradient: &mut [f64]) -> (f64, [Duration; 2]) {
        match form {
            Form::Source => run.gradient(function, &self.x, gradient),
            Form::Nary => {
                let mut terms = std::mem::take(&mut run.terms);
                let found = run.gradient(|x| function_nary(x, &mut terms), &self.x, gradient);
                run.terms = terms;
                found
            }
        }
    }

    fn along(&self, derivative: usize, step: f64) -> f64 {
        let mut x = self.x.clone();
        x[derivative] += step;
        function(&x)
    }
}
