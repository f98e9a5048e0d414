//! What the workloads compute with, and what a run of one gives: the same in every system, so that results can be compared.

/// The loss of a run, and single elements of its gradients (zeros where there are fewer).
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub loss: f32,
    pub gradient: [f32; 3],
}

/// Makes the data of a workload; what comes out runs it once.
pub type Setup = fn() -> Box<dyn FnMut() -> Outcome>;

/// The workloads of a system, each with its name.
pub type Workloads = &'static [(&'static str, Setup)];

/// `xor_mlp`: inputs and targets, four rows.
pub const XOR_INPUTS: [f32; 8] = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
pub const XOR_TARGETS: [f32; 4] = [0.0, 1.0, 1.0, 0.0];
pub const XOR_SIZES: [usize; 3] = [2, 4, 1];
/// So small that many thousand steps do not lead to where gradients vanish and numbers are subnormal, which are slow.
pub const XOR_RATE: f64 = 1e-5;

/// `mlp_mnist`: the sizes of the layers and of a batch.
pub const MNIST_SIZES: [usize; 4] = [784, 512, 512, 10];
pub const MNIST_BATCH: usize = 128;
pub const MNIST_RATE: f64 = 1e-3;

/// `elementwise_1m`: the numbers of `tanh(a x + b) sigmoid(x) + exp(-x^2)` and how many elements `x` has.
pub const A: f32 = 1.5;
pub const B: f32 = 0.25;
pub const ELEMENTS: usize = 1 << 20;

/// `matmul_1024`: the matrices are square.
pub const MATRIX: usize = 1024;

/// `softmax_ce_32k`: items and classes.
pub const ITEMS: usize = 64;
pub const CLASSES: usize = 32_000;

/// `layernorm`: rows, and the features that are normalized.
pub const ROWS: usize = 4096;
pub const FEATURES: usize = 1024;
pub const EPSILON: f32 = 1e-5;

/// `small_ops`: the chain multiplies and adds, so many times each.
pub const CHAIN: usize = 500;
pub const FACTOR: f32 = 1.0001;
pub const SUMMAND: f32 = 0.0001;

/// `count` numbers uniform in `low..high`; `seed` tells tensors apart.
pub fn uniform(count: usize, seed: u32, low: f32, high: f32) -> Vec<f32> {
    let number = |i| low + (high - low) * ((scramble(i, seed) >> 8) as f32 / (1 << 24) as f32);
    (0..count as u32).map(number).collect()
}

/// `count` numbers of `0..classes`.
pub fn labels(count: usize, seed: u32, classes: usize) -> Vec<u32> {
    (0..count as u32)
        .map(|i| scramble(i, seed) % classes as u32)
        .collect()
}

/// Weight (`[outputs, inputs]`) and bias of a layer, uniform within `1 / sqrt(inputs)`.
pub fn layer(sizes: &[usize], layer: usize) -> (Vec<f32>, Vec<f32>) {
    let (inputs, outputs) = (sizes[layer], sizes[layer + 1]);
    let bound = 1.0 / (inputs as f32).sqrt();
    let seed = 100 + 2 * layer as u32;
    (
        uniform(inputs * outputs, seed, -bound, bound),
        uniform(outputs, seed + 1, -bound, bound),
    )
}

/// A hash of two numbers. A few lines in any language: the Python contenders have the same.
fn scramble(i: u32, seed: u32) -> u32 {
    let mut h = i.wrapping_mul(0x9E37_79B9) ^ seed.wrapping_mul(0x85EB_CA6B);
    h = (h ^ (h >> 16)).wrapping_mul(0x7FEB_352D);
    h = (h ^ (h >> 15)).wrapping_mul(0x846C_A68B);
    h ^ (h >> 16)
}
