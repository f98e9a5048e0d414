//! The matrix products of two workloads alone, through a crate made for them: what a step is measured against.

use crate::data::{MATRIX, MNIST_BATCH, MNIST_SIZES, Outcome, Workloads};
use std::hint::black_box;

pub const WORKLOADS: Workloads = &[
    ("matmul_1024_bare", || Box::new(matmul_1024_bare())),
    ("mlp_mnist_bare", || Box::new(mlp_mnist_bare())),
];

/// No loss, no gradients.
const NOTHING: Outcome = Outcome {
    loss: 0.0,
    gradient: [0.0; 3],
};

/// `C = A B`, then `c B^T` and `A^T c`.
fn matmul_1024_bare() -> impl FnMut() -> Outcome {
    const N: usize = MATRIX;
    let [a, b, mut c, mut da, mut db] = std::array::from_fn(|_| vec![0.5f32; N * N]);
    move || {
        gemm([N; 3], (&a, [N, 1]), (&b, [N, 1]), &mut c);
        gemm([N; 3], (&c, [N, 1]), (&b, [1, N]), &mut da);
        gemm([N; 3], (&a, [1, N]), (&c, [N, 1]), &mut db);
        black_box((&da, &db));
        NOTHING
    }
}

/// The eight products of the step: forward `x w^T` for each layer, backward `c^T x` for each weight and `c w` for each input
/// but the first.
fn mlp_mnist_bare() -> impl FnMut() -> Outcome {
    let filled = |count: usize| vec![0.5; count];
    let weights = || MNIST_SIZES.windows(2).map(|s| filled(s[0] * s[1]));
    let mut activations: Vec<Vec<f32>> = MNIST_SIZES
        .iter()
        .map(|n| filled(MNIST_BATCH * n))
        .collect();
    let mut gradients: Vec<Vec<f32>> = weights().collect();
    let weights: Vec<Vec<f32>> = weights().collect();
    move || {
        for layer in 0..3 {
            let (inputs, outputs) = (MNIST_SIZES[layer], MNIST_SIZES[layer + 1]);
            let [x, y] = &mut activations[layer..layer + 2] else {
                unreachable!()
            };
            let w = &weights[layer];
            gemm(
                [MNIST_BATCH, inputs, outputs],
                (x, [inputs, 1]),
                (w, [1, inputs]),
                y,
            );
        }
        for layer in (0..3).rev() {
            let (inputs, outputs) = (MNIST_SIZES[layer], MNIST_SIZES[layer + 1]);
            let [x, c] = &mut activations[layer..layer + 2] else {
                unreachable!()
            };
            let dw = &mut gradients[layer];
            gemm(
                [outputs, MNIST_BATCH, inputs],
                (c, [1, outputs]),
                (x, [inputs, 1]),
                dw,
            );
            if layer > 0 {
                let w = &weights[layer];
                gemm(
                    [MNIST_BATCH, outputs, inputs],
                    (c, [outputs, 1]),
                    (w, [inputs, 1]),
                    x,
                );
            }
        }
        black_box(&gradients);
        NOTHING
    }
}

/// One product `[m, k] [k, n]` on one thread, the way it is fastest: into the columns of the transposed problem. Operands come
/// with their strides.
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
