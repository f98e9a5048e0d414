//! A full training step (forward, loss, backward, Adam), recorded anew each time, on one thread.
//!
//! Run with `cargo bench --bench step`.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use wengert::prelude::*;

/// 2-4-1 with ReLU and binary cross-entropy, batch 4.
fn xor_mlp(c: &mut Criterion) {
    let x: Tensor = Tensor::from([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let y = Tensor::from([[0.0], [1.0], [1.0], [0.0]]);
    let mut rng = wengert::rng(1);
    let mut model = wengert::sequential![
        Linear::new(2, 4, &mut rng),
        activation::Relu,
        Linear::new(4, 1, &mut rng),
    ];
    let mut adam = Adam::new(1e-2);
    c.bench_function("xor_mlp", |b| {
        b.iter(|| {
            let step = value_and_grad(&model, |model, tape| {
                let logits = model.forward(tape.constant(&x));
                loss::binary_cross_entropy_with_logits(logits, tape.constant(&y))
            });
            adam.step(&mut model, &step);
            step.value()
        })
    });
}

const BATCH: usize = 128;
const SIZES: [usize; 4] = [784, 512, 512, 10];

/// 784-512-512-10 with ReLU and cross-entropy, batch 128; and beside it the eight matrix products of the step alone.
fn mlp_mnist(c: &mut Criterion) {
    let mut rng = wengert::rng(1);
    let x = Tensor::<f32>::uniform([BATCH, SIZES[0]], 0.0, 1.0, &mut rng);
    let y = Tensor::<i64>::randint([BATCH], 0, 10, &mut rng);
    let mut model = wengert::sequential![
        Linear::new(SIZES[0], SIZES[1], &mut rng),
        activation::Relu,
        Linear::new(SIZES[1], SIZES[2], &mut rng),
        activation::Relu,
        Linear::new(SIZES[2], SIZES[3], &mut rng),
    ];
    let mut adam = Adam::new(1e-3);
    let mut group = c.benchmark_group("mlp_mnist");
    group.sample_size(50);
    group.bench_function("step", |b| {
        b.iter(|| {
            let step = value_and_grad(&model, |model, tape| {
                loss::cross_entropy(model.forward(tape.constant(&x)), tape.constant(&y))
            });
            adam.step(&mut model, &step);
            step.value()
        })
    });
    let mut products = Products::new();
    group.bench_function("eight matrix products", |b| b.iter(|| products.run()));
    group.finish();
}

/// The matrix products of the step: forward `x w^T` for each layer, backward `c^T x` for each weight and `c w` for each input but
/// the first.
struct Products {
    activations: Vec<Vec<f32>>,
    weights: Vec<Vec<f32>>,
    weight_gradients: Vec<Vec<f32>>,
}

impl Products {
    fn new() -> Self {
        let filled = |n: usize| vec![0.5; n];
        let weights = || SIZES.windows(2).map(|s| filled(s[0] * s[1])).collect();
        Products {
            activations: SIZES.iter().map(|n| filled(BATCH * n)).collect(),
            weights: weights(),
            weight_gradients: weights(),
        }
    }

    fn run(&mut self) {
        for layer in 0..3 {
            let (inputs, outputs) = (SIZES[layer], SIZES[layer + 1]);
            let [x, y] = &mut self.activations[layer..layer + 2] else {
                unreachable!()
            };
            let w = &self.weights[layer];
            gemm(
                [BATCH, inputs, outputs],
                (x, [inputs, 1]),
                (w, [1, inputs]),
                y,
            );
        }
        for layer in (0..3).rev() {
            let (inputs, outputs) = (SIZES[layer], SIZES[layer + 1]);
            let [x, c] = &mut self.activations[layer..layer + 2] else {
                unreachable!()
            };
            gemm(
                [outputs, BATCH, inputs],
                (c, [1, outputs]),
                (x, [inputs, 1]),
                &mut self.weight_gradients[layer],
            );
            if layer > 0 {
                gemm(
                    [BATCH, outputs, inputs],
                    (c, [outputs, 1]),
                    (&self.weights[layer], [inputs, 1]),
                    x,
                );
            }
        }
        black_box(&self.weight_gradients);
    }
}

/// One product through the crate that wengert uses, the way it is fastest there: into the columns of the transposed problem.
fn gemm([m, k, n]: [usize; 3], a: (&[f32], [usize; 2]), b: (&[f32], [usize; 2]), c: &mut [f32]) {
    assert!(a.0.len() == m * k && b.0.len() == k * n && c.len() == m * n);
    let [a0, a1] = a.1.map(|s| s as isize);
    let [b0, b1] = b.1.map(|s| s as isize);
    // SAFETY: the lengths were asserted, and the strides are those of row-major matrices or their transposes.
    unsafe {
        gemm_f32::gemm::f32::get_gemm_fn()(
            n,
            m,
            k,
            c.as_mut_ptr(),
            n as isize,
            1,
            false,
            b.0.as_ptr(),
            b0,
            b1,
            a.0.as_ptr(),
            a0,
            a1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm_common::Parallelism::None,
        );
    }
}

/// A chain of 1000 operations on 8 elements, its sum, and the gradient.
fn small_ops(c: &mut Criterion) {
    let start = Tensor::<f32>::ones([8]);
    let mut tape = Tape::new();
    c.bench_function("small_ops", |b| {
        b.iter(|| {
            tape.reset();
            let x = tape.leaf(&start);
            let mut y = x;
            for _ in 0..500 {
                y *= 1.0001;
                y += 0.0001;
            }
            let y = y.sum();
            let dx = y.gradient(x);
            tape.run((y, dx))
        })
    });
}

criterion_group!(benches, xor_mlp, mlp_mnist, small_ops);
criterion_main!(benches);
