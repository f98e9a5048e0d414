//! Any number of threads gives the same bits, and a panic on one of them spoils nothing.

use wengert::prelude::*;
use wengert::{Reads, Unary};

const POOLS: [usize; 4] = [1, 2, 3, 16];

/// What `f` returns in a pool of each size.
fn in_pools<R: Send>(f: impl Fn() -> R + Sync) -> Vec<R> {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool").install(&f)
    };
    POOLS.into_iter().map(run).collect()
}

fn all_the_same<R: PartialEq>(results: &[R]) -> bool {
    results.iter().all(|result| *result == results[0])
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.iter().map(f32::to_bits).collect()
}

#[test]
fn values_and_gradients_are_the_same_bits_on_any_number_of_threads() {
    let mut rng = rng(1);
    let x = Tensor::<f32>::uniform([600, 1000], -2.0, 2.0, &mut rng);
    let w = Tensor::<f32>::uniform([1000, 300], -1.0, 1.0, &mut rng);
    let results = in_pools(|| {
        let tape = Tape::new();
        let (x, w) = (tape.leaf(&x), tape.leaf(&w));
        let centered = x - x.mean_keepdim(-1);
        let normal = centered / (centered.square().mean_keepdim(-1) + 1e-5).sqrt();
        let rows = normal.softmax(-1).log_softmax(0);
        let loss = (rows.matmul(w).tanh()).sum()
            + (x * x.t().t().exp()).sum()
            + x.sum_axes(0).square().sum();
        let (loss, [dx, dw], t) = tape.run((loss, loss.gradients([x, w]), x.t() * 2.0));
        [loss, dx, dw, t].map(|tensor| bits(&tensor))
    });
    assert!(all_the_same(&results));
}

#[test]
fn a_hundred_training_steps_are_the_same_bits_on_any_number_of_threads() {
    let mut rng = rng(2);
    let x = Tensor::<f32>::uniform([256, 128], -1.0, 1.0, &mut rng);
    let y = Tensor::<i64>::randint([256], 0, 10, &mut rng);
    let results = in_pools(|| {
        let mut rng = wengert::rng(3);
        let mut model = wengert::sequential![
            Linear::new(128, 160, &mut rng),
            activation::Relu,
            Linear::new(160, 10, &mut rng),
        ];
        let mut adam = Adam::new(1e-2);
        let inputs = (ProgramInput::batch([128]), ProgramInput::<i64>::batch([]));
        let mut program = TrainingProgram::new(inputs, |model: &Sequential, (x, y)| {
            loss::cross_entropy(model.forward(x), y)
        });
        let mut losses = Vec::new();
        for step in 0..100 {
            // Recorded at each step and as a program, in turn: they do the same.
            losses.push(if step % 2 == 0 {
                let step = value_and_grad(&model, |model, tape| {
                    loss::cross_entropy(model.forward(tape.constant(&x)), tape.constant(&y))
                });
                adam.step(&mut model, &step);
                step.value()
            } else {
                program
                    .run(&mut model, &mut adam, (&x, &y))
                    .expect("inputs that fit")
            });
        }
        assert!(losses[99] < 0.5 * losses[0], "{losses:?}");
        losses
            .iter()
            .map(|loss: &f32| loss.to_bits())
            .collect::<Vec<_>>()
    });
    assert!(all_the_same(&results));
}

/// Panics where an element is negative.
struct Careful;
impl<T: Float> Unary<T> for Careful {
    type Output = T;
    const NAME: &'static str = "careful";
    const READS: Reads = Reads::INPUTS;
    fn eval(x: T) -> T {
        assert!(x >= T::zero(), "a negative element");
        x
    }
    fn vjp(_x: Var<T>, _y: Var<T>, cotangent: Var<T>) -> Var<T> {
        cotangent
    }
}

/// The products of all pairs are written past the caches, so many are they.
#[test]
fn results_larger_than_caches_are_whole_on_any_number_of_threads() {
    const ROWS: usize = 4099;
    const COLUMNS: usize = 4097;
    let a: Vec<f32> = (0..ROWS).map(|i| i as f32 * 0.5 - 7.0).collect();
    let b: Vec<f32> = (0..COLUMNS).map(|j| 1.0 / (j + 1) as f32).collect();
    let x = Tensor::from_vec([ROWS, 1], a.clone()).expect("a column");
    let y = Tensor::from_vec([1, COLUMNS], b.clone()).expect("a row");
    let right = |products: &Tensor, shift: f32| {
        let right = a.iter().flat_map(|a| b.iter().map(move |b| a * b + shift));
        products.shape()[..] == [ROWS, COLUMNS] && products.iter().eq(right)
    };
    let all = in_pools(|| {
        let tape = Tape::new();
        let products = tape.constant(&x) * tape.constant(&y);
        let (products, shifted) = tape.run((products, products + 1.0));
        right(&products, 0.0) && right(&shifted, 1.0)
    });
    assert_eq!(all, [true; POOLS.len()]);
}

#[test]
fn a_panic_on_one_thread_spoils_no_later_run() {
    let mut elements = vec![1.0f32; 300_000];
    elements[200_000] = -1.0;
    let bad = Tensor::from_vec([300_000], elements).expect("as many elements");
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .build()
        .expect("a pool");
    pool.install(|| {
        let tape = Tape::new();
        let x = tape.leaf(&bad);
        let y = x.unary::<Careful>().exp();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| y.value()));
        assert!(outcome.is_err());
        // The same tape, the same program with good elements, another tape.
        assert_eq!((x * 2.0).sum().value().item(), 2.0 * 299_998.0);
        let good = tape.leaf(&Tensor::<f32>::ones([300_000]));
        assert_eq!(good.unary::<Careful>().sum().value().item(), 300_000.0);
    });
}
