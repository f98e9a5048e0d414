//! Any number of threads gives the same bits, and a panic on one of them spoils nothing.

use super::memory::allocations_everywhere;
use std::process::Command;
use wengert::prelude::*;
use wengert::{Reads, Unary};

const POOLS: [usize; 4] = [1, 2, 3, 16];

/// What `f` returns in a pool of so many threads.
fn in_pool<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("a pool").install(f)
}

/// What `f` returns in a pool of each size, and in none.
fn in_pools<R: Send>(f: impl Fn() -> R + Sync) -> Vec<R> {
    let within = POOLS.into_iter().map(|threads| in_pool(threads, &f));
    within.chain([f()]).collect()
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
                    loss_of(model, tape.constant(&x), tape.constant(&y))
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
    assert_eq!(all, [true; POOLS.len() + 1]);
}

#[test]
fn a_panic_on_one_thread_spoils_no_later_run() {
    let mut elements = vec![1.0f32; 300_000];
    elements[200_000] = -1.0;
    let bad = Tensor::from_vec([300_000], elements).expect("as many elements");
    in_pools(|| {
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

/// A thread of a pool that waits for others takes up other work meanwhile, in the middle of a run.
#[test]
fn steps_side_by_side_in_a_pool_are_the_same_bits() {
    use rayon::prelude::*;
    let x = Tensor::<f32>::uniform([256, 300], -1.0, 1.0, &mut rng(6));
    let y = Tensor::<i64>::randint([256], 0, 10, &mut rng(7));
    let model = wide_model();
    let inputs = (ProgramInput::batch([300]), ProgramInput::<i64>::batch([]));
    let loss = |model: &Sequential, x: Var, y: Var<i64>| loss::cross_entropy(model.forward(x), y);
    let program = Program::record(inputs, |(x, y)| loss(&model, x, y)).expect("a program");
    let both = |_| {
        let step = value_and_grad(&model, |model, tape| {
            loss(model, tape.constant(&x), tape.constant(&y))
        });
        let gradients = step.gradients().map(|g| match g {
            wengert::Any::F32(g) => bits(g),
            _ => unreachable!("parameters of one type"),
        });
        (
            program.run((&x, &y)).expect("a loss").item().to_bits(),
            step.value().to_bits(),
            gradients.collect::<Vec<_>>(),
        )
    };
    let expected = both(0);
    for threads in [2, 3, 16] {
        let steps = || (0..24).into_par_iter().map(both).collect();
        let all: Vec<_> = in_pool(threads, steps);
        assert!(all.iter().all(|found| *found == expected));
    }
}

/// A model whose steps are products, passes, reductions and updates that are each worth several threads.
fn wide_model() -> Sequential {
    let mut rng = rng(5);
    wengert::sequential![
        Linear::new(300, 400, &mut rng),
        activation::Gelu,
        Linear::new(400, 350, &mut rng),
        activation::Tanh,
        Linear::new(350, 10, &mut rng),
    ]
}

/// Its loss, of inputs in rows of mean 0 and variance 1.
fn loss_of(model: &Sequential, x: Var, y: Var<i64>) -> Var {
    let centered = x - x.mean_keepdim(-1);
    let rows = centered / (centered.square().mean_keepdim(-1) + 1e-5).sqrt();
    loss::cross_entropy(model.forward(rows.dropout(0.1)), y)
}

/// The fewest allocations in fifty steps that follow one another. A thread makes its working memory when it takes a part that needs
/// it for the first time, which may be late: so there are several tries.
fn allocations_of_steps(mut step: impl FnMut()) -> usize {
    let mut count = || {
        let before = allocations_everywhere();
        (0..50).for_each(|_| step());
        allocations_everywhere() - before
    };
    let mut fewest = usize::MAX;
    for _ in 0..10 {
        fewest = fewest.min(count());
        if fewest == 0 {
            break;
        }
    }
    fewest
}

/// In a process of its own, where no other test allocates.
#[test]
fn steps_on_several_threads_allocate_nothing() {
    const ALONE: &str = "WENGERT_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let test = "suite::threads::steps_on_several_threads_allocate_nothing";
        let binary = std::env::current_exe().expect("this test");
        let mut command = Command::new(binary);
        command.args([test, "--exact", "--test-threads=1"]);
        let output = command.env(ALONE, "1").env("RAYON_NUM_THREADS", "4");
        let output = output.output().expect("a process");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
        return;
    }
    let x = Tensor::<f32>::uniform([256, 300], -1.0, 1.0, &mut rng(6));
    let y = Tensor::<i64>::randint([256], 0, 10, &mut rng(7));
    let recorded = || {
        let (mut model, mut adam) = (wide_model(), Adam::new(1e-3));
        allocations_of_steps(|| {
            let step = value_and_grad(&model, |model, tape| {
                loss_of(model, tape.constant(&x), tape.constant(&y))
            });
            adam.step(&mut model, &step);
        })
    };
    let program = || {
        let (mut model, mut adam) = (wide_model(), Adam::new(1e-3));
        let inputs = (ProgramInput::batch([300]), ProgramInput::<i64>::batch([]));
        let mut program =
            TrainingProgram::new(inputs, |model: &Sequential, (x, y)| loss_of(model, x, y));
        allocations_of_steps(|| {
            let loss = program.run(&mut model, &mut adam, (&x, &y));
            assert!(loss.expect("a loss").is_finite());
        })
    };
    // Sums over so many numbers that they are trees of trees, in each direction.
    let sums = || {
        let mut many = vec![Param::new(Tensor::<f32>::full([1000, 1100], 0.5))];
        let mut sgd = Sgd::new(1e-3);
        allocations_of_steps(|| {
            let step = value_and_grad(&many, |many, tape| {
                let x = many[0].on(tape);
                let rows = x.sum_axes(0).square().mean() + x.sum_axes(1).square().mean();
                rows + x.square().sum() + x.t().exp().sum_axes(0).max()
            });
            sgd.step(&mut many, &step);
        })
    };
    let all = || [recorded(), program(), sums()];
    assert_eq!(all(), [0; 3], "outside of a pool");
    for threads in [1, 3] {
        assert_eq!(in_pool(threads, all), [0; 3], "{threads} threads");
    }
}
