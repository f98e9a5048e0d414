//! Parts that are computed again: the same bits, for less memory.

use super::panic::caught;
use super::transforms::close;
use wengert::transform::{checkpoint, gradient, hessian, hvp, jvp, vmap};
use wengert::{Layer, Linear, Tape, Tensor, Var, rng};

const WIDTH: usize = 64;
const ROWS: usize = 256;

/// Layers that are computed in parts of a few.
struct Deep {
    layers: Vec<Linear>,
}

impl Deep {
    fn new(depth: usize) -> Self {
        let rng = &mut rng(3);
        Deep {
            layers: (0..depth).map(|_| Linear::new(WIDTH, WIDTH, rng)).collect(),
        }
    }

    /// The loss, in parts of `part` layers; of all at once if that is 0.
    fn loss(&self, x: Var, part: usize) -> Var {
        let through =
            |x: Var, layers: &[Linear]| layers.iter().fold(x, |x, layer| layer.forward(x).tanh());
        let y = match part {
            0 => through(x, &self.layers),
            _ => self
                .layers
                .chunks(part)
                .fold(x, |x, layers| checkpoint(|x| through(x, layers), x)),
        };
        (y * y).mean()
    }

    /// Loss and gradients of the input and all weights, and the peak of the run.
    fn step(&self, part: usize) -> (f32, Vec<Tensor>, usize) {
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::uniform([ROWS, WIDTH], -1.0, 1.0, &mut rng(9)));
        let loss = self.loss(x, part);
        let mut all = vec![x];
        all.extend(self.layers.iter().map(|layer| layer.weight.on(*tape)));
        let all: [Var; 17] = all.try_into().expect("16 layers");
        let (loss, gradients) = tape.run((loss, loss.gradients(all).to_vec()));
        (loss.item(), gradients, tape.peak_bytes())
    }
}

#[test]
fn gradients_are_the_same_bits_for_less_memory() {
    let deep = Deep::new(16);
    let (loss, gradients, peak) = deep.step(0);
    for part in [1, 4, 16] {
        let (again, others, less) = deep.step(part);
        assert_eq!(loss.to_bits(), again.to_bits());
        assert_eq!(gradients, others);
        if part == 4 {
            // Inputs of 4 parts, and one part of 4 layers, instead of 16 layers.
            assert!(less * 3 < peak * 2, "{less} of {peak}");
        }
    }
}

#[test]
fn inputs_that_nothing_else_reads_wait_where_they_lie() {
    let deep = Deep::new(12);
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::uniform([ROWS, WIDTH], -1.0, 1.0, &mut rng(9)));
    let loss = deep.loss(x, 4);
    let plan = tape.explain((loss, loss.gradient(x))).to_string();
    let steps: Vec<&str> = plan.split("\n\n").collect();
    let of = |kernel: &str| -> Vec<bool> {
        let these = steps.iter().filter(|step| step.contains(kernel));
        these.map(|step| step.contains(", overwritten")).collect()
    };
    // The leaf is somebody else's: it is copied, and its part is the last to be computed again.
    assert_eq!(of(". checkpoint input"), [true, true, false], "{plan}");
    assert_eq!(of(". checkpoint,"), [true, true, true], "{plan}");
}

#[test]
fn products_with_a_function_of_an_operand_keep_the_operand_alone() {
    let deep = Deep::new(16);
    let gated = [
        Var::gelu as fn(Var) -> Var,
        Var::gelu_tanh,
        Var::silu,
        Var::mish,
    ];
    for activation in gated {
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::uniform([ROWS, WIDTH], -1.0, 1.0, &mut rng(9)));
        let layer = |x, layer: &Linear| activation(layer.forward(x));
        let loss = deep.layers.iter().fold(x, layer).square().mean();
        let weights: Vec<Var> = deep.layers.iter().map(|l| l.weight.on(*tape)).collect();
        let weights: [Var; 16] = weights.try_into().expect("16 layers");
        tape.run(loss.gradients(weights));
        let gradients = 16 * WIDTH * WIDTH * 4;
        let values = (tape.peak_bytes() - gradients) as f64 / (ROWS * WIDTH * 4) as f64;
        // Operand and result for each of 16 layers: the next layer reads the result.
        assert!(values < 2.0 * 16.0 + 2.0, "{values}");
    }
}

#[test]
fn a_value_that_was_asked_for_first_changes_nothing() {
    let deep = Deep::new(4);
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::uniform([8, WIDTH], -1.0, 1.0, &mut rng(9)));
    let loss = deep.loss(x, 2);
    loss.value();
    let dx = loss.gradient(x).value();
    let plain = deep.loss(x, 0).gradient(x).value();
    assert_eq!(dx, plain);
}

#[test]
fn derivatives_of_any_order_and_kind_pass_through() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::<f64>::uniform([3], -1.0, 1.0, &mut rng(1)));
    let w = tape.leaf(&Tensor::<f64>::uniform([3, 3], -1.0, 1.0, &mut rng(2)));
    let v = tape.constant(&Tensor::from([1.0, -0.5, 2.0]));
    let part = |[w, x]: [Var<f64>; 2]| w.matmul(x.tanh()).sin();
    let plain = |x: Var<f64>| part([w, part([w, x])]).square().sum();
    let again = |x: Var<f64>| {
        checkpoint(part, [w, checkpoint(part, [w, x])])
            .square()
            .sum()
    };
    let nested = |x: Var<f64>| {
        checkpoint(
            |[w, x]| checkpoint(part, [w, checkpoint(part, [w, x])]),
            [w, x],
        )
        .square()
        .sum()
    };
    for f in [&again as &dyn Fn(Var<f64>) -> Var<f64>, &nested] {
        close("value", &f(x).value(), &plain(x).value()).unwrap();
        close(
            "gradient",
            &gradient(f, x).value(),
            &gradient(plain, x).value(),
        )
        .unwrap();
        let (a, b) = (f(x).gradient(w), plain(x).gradient(w));
        close("weights", &a.value(), &b.value()).unwrap();
        close("jvp", &jvp(f, x, v).1.value(), &jvp(plain, x, v).1.value()).unwrap();
        close("hvp", &hvp(f, x, v).value(), &hvp(plain, x, v).value()).unwrap();
        close(
            "hessian",
            &hessian(f, x).value(),
            &hessian(plain, x).value(),
        )
        .unwrap();
        let (_, a) = jvp(|x| gradient(f, x), x, v);
        close(
            "forward over reverse",
            &a.value(),
            &hvp(plain, x, v).value(),
        )
        .unwrap();
        let a = gradient(|x| jvp(f, x, v).1, x);
        close(
            "reverse over forward",
            &a.value(),
            &hvp(plain, x, v).value(),
        )
        .unwrap();
        let xs = tape.leaf(&Tensor::<f64>::uniform([4, 3], -1.0, 1.0, &mut rng(4)));
        close("vmap", &vmap(f, xs).value(), &vmap(plain, xs).value()).unwrap();
        let (a, b) = (
            vmap(|x| gradient(f, x), xs),
            vmap(|x| gradient(plain, x), xs),
        );
        close("gradients of a batch", &a.value(), &b.value()).unwrap();
        let (a, b) = (
            vmap(f, xs).sum().gradient(w),
            vmap(plain, xs).sum().gradient(w),
        );
        close("weights of a batch", &a.value(), &b.value()).unwrap();
    }
}

#[test]
fn several_results_and_integers_pass() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([3.0, 1.0, 2.0]));
    let index = tape.constant(&Tensor::from([2, 0]));
    let f = |(x, i): (Var, Var<i64>)| (x.gather(0, i), (x * x).sum(), i);
    let (picked, squares, same) = checkpoint(f, (x, index));
    assert_eq!(same.value(), Tensor::from([2, 0]));
    let dx = (picked.sum() * 10.0 + squares).gradient(x);
    assert_eq!(dx.value(), Tensor::from([16.0, 2.0, 14.0]));
    // What cuts the gradient within cuts it again.
    let cut = checkpoint(|x: Var| x * x.stop_gradient(), x);
    assert_eq!(cut.sum().gradient(x).value(), Tensor::from([3.0, 1.0, 2.0]));
}

#[test]
fn a_variable_from_outside_is_refused() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0]));
    let w = tape.leaf(&Tensor::from([2.0]));
    let line = line!() + 1;
    let panic = caught(|| checkpoint(|x: Var| x * w, x));
    assert_eq!((panic.file.as_str(), panic.line), (file!(), line));
    assert!(
        panic
            .message
            .starts_with("checkpoint: the part reads %1 = leaf: f32[1] (")
    );
    assert!(
        panic
            .message
            .ends_with("which is computed outside of it: make it an input")
    );
    // A constant may be read, and the tape is usable.
    let c = tape.constant(&Tensor::from([5.0]));
    let dx = checkpoint(|x| x * c, x).sum().gradient(x);
    assert_eq!(dx.value(), Tensor::from([5.0]));
}
