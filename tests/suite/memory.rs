//! Memory: flat over many steps, given back by a thread that ends.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use wengert::{
    Adam, Layer, Linear, Optimizer, Param, Program, ProgramInput, Sgd, Tape, Tensor, Var, rng,
    value_and_grad,
};

/// Counts the bytes of the threads that ask for it, apart from those of the tests that run beside.
struct Counting;

thread_local! {
    /// The bytes that this thread allocated, less those that it freed.
    static HERE: Cell<isize> = const { Cell::new(0) };
    /// The most that was at once.
    static MOST: Cell<isize> = const { Cell::new(0) };
    /// How often this thread allocated.
    static TIMES: Cell<usize> = const { Cell::new(0) };
    /// Whether this thread adds to `THERE`.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// The bytes of a thread that may have ended.
static THERE: AtomicIsize = AtomicIsize::new(0);
/// How often all threads of this process have allocated.
static EVERYWHERE: AtomicUsize = AtomicUsize::new(0);

fn count(bytes: isize) {
    let here = HERE.get() + bytes;
    HERE.set(here);
    MOST.set(MOST.get().max(here));
    if bytes > 0 {
        TIMES.with(|times| times.set(times.get() + 1));
        EVERYWHERE.fetch_add(1, Ordering::Relaxed);
    }
    if COUNTED.get() {
        THERE.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator as it came; counting does not allocate,
// since the counters are constants at first and need no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: the caller's promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread has allocated.
pub fn allocations() -> usize {
    TIMES.get()
}

/// How often all threads of this process have allocated.
#[cfg(feature = "parallel")]
pub fn allocations_everywhere() -> usize {
    EVERYWHERE.load(Ordering::Relaxed)
}

/// The bytes that this thread has allocated, less those that it freed.
pub fn bytes() -> isize {
    HERE.get()
}

/// The parameters and data of a small network, and a step of gradient descent.
struct Training {
    x: Tensor<f32>,
    y: Tensor<f32>,
    parameters: [Tensor<f32>; 4],
}

impl Training {
    fn new() -> Self {
        let mut rng = rng(1);
        Training {
            x: Tensor::from([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
            y: Tensor::from([[0.0], [1.0], [1.0], [0.0]]),
            parameters: [
                Tensor::uniform([2, 4], -1.0, 1.0, &mut rng),
                Tensor::zeros([4]),
                Tensor::uniform([4, 1], -1.0, 1.0, &mut rng),
                Tensor::zeros([1]),
            ],
        }
    }

    fn step(&mut self, tape: &Tape) -> f32 {
        let p = self.parameters.each_ref().map(|p| tape.leaf(p));
        let hidden = (tape.constant(&self.x).matmul(p[0]) + p[1]).maximum(0.0);
        let off = hidden.matmul(p[2]) + p[3] - tape.constant(&self.y);
        let loss: Var = (off * off).mean();
        let gradients = loss.gradients(p);
        let updated: [Var; 4] = std::array::from_fn(|k| p[k] - gradients[k] * 0.05);
        let (loss, updated) = tape.run((loss, updated));
        self.parameters = updated;
        loss.item()
    }
}

#[test]
fn a_hundred_thousand_steps_leave_memory_flat() {
    let mut training = Training::new();
    let mut tape = Tape::new();
    let mut losses = Vec::with_capacity(2);
    let mut after = |steps: usize| {
        for _ in 0..steps {
            training.step(&tape);
            tape.reset();
        }
        losses.push(training.step(&tape));
        tape.reset();
        HERE.get()
    };
    let warm = after(1_000);
    let end = after(100_000);
    assert_eq!(end, warm, "bytes after 1,000 and 101,000 steps");
    assert!(losses[1] < losses[0], "{losses:?}");
}

#[test]
fn tapes_made_anew_reuse_the_memory_of_those_dropped() {
    let mut training = Training::new();
    let mut after = |steps: usize| {
        for _ in 0..steps {
            training.step(&Tape::new());
        }
        HERE.get()
    };
    let warm = after(100);
    assert_eq!(after(5_000), warm, "bytes after 100 and 5,100 tapes");
}

#[test]
fn steps_of_changing_size_do_not_pile_up() {
    let mut tape = Tape::new();
    let cycle = |tape: &mut Tape| {
        for size in (1..200).chain((1..200).rev()) {
            let x = tape.leaf(&Tensor::<f32>::ones([size, 3]));
            let y = (x.exp() * x).sum();
            y.gradient(x).value();
            tape.reset();
        }
        // What none of eight steps needs is freed: what the last large ones left, after twice as many small ones. With these a
        // cycle is a multiple of eight.
        for _ in 0..18 {
            let x = tape.leaf(&Tensor::<f32>::ones([1]));
            x.exp().value();
            tape.reset();
        }
        HERE.get()
    };
    cycle(&mut tape);
    let warm = cycle(&mut tape);
    for _ in 0..5 {
        assert_eq!(cycle(&mut tape), warm);
    }
}

#[test]
fn a_thread_that_ends_frees_its_arenas() {
    let bytes = |work: fn()| {
        let before = THERE.load(Ordering::Relaxed);
        let thread = std::thread::spawn(move || {
            COUNTED.set(true);
            work();
        });
        thread.join().expect("the thread ends well");
        THERE.load(Ordering::Relaxed) - before
    };
    // What the end of a thread frees of its beginning is the same without work.
    let idle = bytes(|| ());
    let worked = bytes(|| {
        let tapes = [Tape::new(), Tape::new(), Tape::new()];
        for tape in &tapes {
            let x = tape.leaf(&Tensor::<f32>::ones([1000, 100]));
            let y = (x * x).sum();
            y.gradient(x).value();
        }
        // One of them is never dropped.
        let [first, ..] = tapes;
        std::mem::forget(first);
    });
    assert_eq!(worked, idle, "bytes that the thread left");
}

#[test]
fn memory_of_a_value_outlives_its_tape() {
    let value = {
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::from([1.0f32, 2.0, 3.0]));
        (x + 1.0).value()
    };
    // Others use the arena, and the memory that came back to it.
    for _ in 0..10 {
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::from([7.0f32, 7.0, 7.0]));
        (x * 3.0).exp().value();
    }
    assert_eq!(value, Tensor::from([2.0, 3.0, 4.0]));
}

#[test]
fn the_peak_counts_a_buffer_once_and_as_long_as_any_view_of_it_lives() {
    let tape = Tape::inference();
    let x = tape.leaf(&Tensor::<f32>::ones([1024]));
    let a = x.exp().reshape([32, 32]);
    // `a` is read in two orders, so it has a buffer; all that follows is one pass into the result.
    let y = (a * 2.0) / (a.t() + 1.0);
    y.value();
    assert_eq!(tape.peak_bytes(), 2 * 4096);
    // A view of a leaf is no buffer of the run.
    let tape = Tape::inference();
    let x = tape.leaf(&Tensor::<f32>::ones([1024]));
    let y = (x.reshape([32, 32]).t() + 1.0) * 2.0;
    y.value();
    assert_eq!(tape.peak_bytes(), 4096);
}

#[test]
fn optimizers_allocate_nothing_after_their_first_step() {
    let optimizers: [Box<dyn Optimizer>; 3] = [
        Box::new(Adam::new(0.01).amsgrad(true)),
        Box::new(Sgd::new(0.01).momentum(0.9)),
        Box::new(Sgd::new(0.01)),
    ];
    for mut optimizer in optimizers {
        let mut rng = rng(1);
        let mut model: Vec<Param> = [vec![2, 4], vec![4], vec![], vec![0], vec![3, 700]]
            .into_iter()
            .map(|shape| Param::new(Tensor::uniform(shape.as_slice(), -1.0, 1.0, &mut rng)))
            .collect();
        let step = value_and_grad(&model, |model, tape| {
            let squares = model.iter().map(|p| (p.on(tape) * p.on(tape)).sum());
            squares.reduce(|a, b| a + b).expect("several parameters")
        });
        optimizer.step(&mut model, &step);
        let before = TIMES.get();
        for rate in 0..10 {
            optimizer.set_learning_rate(0.01 * f64::from(rate));
            optimizer.step(&mut model, &step);
        }
        assert_eq!(TIMES.get(), before, "allocations in {:?}", model[0].shape());
    }
}

/// The bytes that `f` allocated at most, above those that there were before.
fn most_of<R>(f: impl FnOnce() -> R) -> (R, usize) {
    let before = HERE.get();
    MOST.set(before);
    let result = f();
    (result, (MOST.get() - before) as usize)
}

/// Blocks, sums of blocks, and what buffers are longer than what is in them.
const SMALL: usize = 64 * 1024;

/// Fifty elementwise operations, no two of the same kind beside each other.
fn deep(x: Var) -> Var {
    let mut y = x;
    for k in 0..25 {
        y = match k % 4 {
            0 => y.tanh() * 1.5,
            1 => (y * y).exp(),
            2 => y.sigmoid() - x,
            _ => y.abs() + 0.5,
        };
        y *= 0.5;
    }
    y
}

#[test]
fn a_deep_chain_of_elements_takes_the_memory_of_its_results() {
    const N: usize = 1 << 20;
    let bytes = 4 * N;
    let x = Tensor::<f32>::full([N], 0.3);
    // The value; the sum alone, which has no buffer at all; the gradient; both.
    let tape = Tape::inference();
    let y = deep(tape.leaf(&x));
    let (_, most) = most_of(|| tape.run(y));
    assert!(tape.peak_bytes() <= bytes + SMALL, "{}", tape.peak_bytes());
    assert!(most <= bytes + bytes / 8 + 4 * SMALL, "{most}");

    let tape = Tape::inference();
    tape.run(deep(tape.leaf(&x)).sum());
    assert!(tape.peak_bytes() <= SMALL, "{}", tape.peak_bytes());

    let tape = Tape::new();
    let v = tape.leaf(&x);
    let loss = deep(v).sum();
    let gradient = loss.gradient(v);
    let (_, most) = most_of(|| tape.run((loss, gradient)));
    assert!(tape.peak_bytes() <= bytes + SMALL, "{}", tape.peak_bytes());
    assert!(most <= bytes + bytes / 8 + 8 * SMALL, "{most}");
}

#[test]
fn inference_keeps_two_activations_and_training_one_for_each_layer() {
    const LAYERS: usize = 8;
    let (batch, n) = (128, 256);
    let activation = 4 * batch * n;
    let rng = &mut rng(1);
    let layers: [Linear; LAYERS] = std::array::from_fn(|_| Linear::new(n, n, rng));
    let x = Tensor::<f32>::ones([batch, n]);
    let through =
        |x: Var, layers: &[Linear]| layers.iter().fold(x, |x, layer| layer.forward(x).relu());
    // What a layer reads, and what it writes; the last but one lies where the result will be, or the last before its ReLU.
    for count in 1..=LAYERS {
        let layers = &layers[..count];
        let least = count.min(2) * activation;
        let tape = Tape::inference();
        let y = tape.run(through(tape.constant(&x), layers));
        let most = tape.peak_bytes();
        assert!(
            (least..=least + SMALL).contains(&most),
            "{count} layers: {most}"
        );

        let program = Program::record([ProgramInput::<f32>::batch([n])], |[x]| through(x, layers));
        let program = program.expect("a program");
        assert_eq!(program.run([&x]).expect("values"), y);
        let most = program.peak_bytes();
        assert!(
            (least..=least + SMALL).contains(&most),
            "{count} layers: {most}"
        );
    }

    let tape = Tape::new();
    let loss = through(tape.constant(&x), &layers).square().sum();
    let parameters = layers.each_ref().map(|layer| layer.weight.on(*tape));
    let gradients = loss.gradients(parameters);
    tape.run((loss, gradients));
    let results = LAYERS * 4 * n * n;
    let most = tape.peak_bytes();
    let least = results + (LAYERS - 1) * activation;
    assert!(
        (least..=least + 3 * activation + SMALL).contains(&most),
        "{most}, {least}"
    );
}

#[test]
fn a_program_allocates_nothing_but_its_results() {
    let rng = &mut rng(1);
    let layers = [Linear::<f32>::new(20, 300, rng), Linear::new(300, 10, rng)];
    let program = Program::record([ProgramInput::<f32>::batch([20])], |[x]| {
        let y = layers[1]
            .forward(layers[0].forward(x).relu())
            .log_softmax(-1);
        let loss = y.square().mean();
        (y, loss, loss.gradient(x))
    });
    let program = program.expect("a program");
    let xs = [4, 64].map(|batch| Tensor::<f32>::full([batch, 20], 0.25));
    for x in &xs {
        for _ in 0..3 {
            program.run([x]).expect("values");
        }
    }
    for x in &xs {
        // Results that are held cannot be used again: a buffer and what counts its owners for each.
        let mut held = Vec::with_capacity(10);
        let (before, times) = (HERE.get(), TIMES.get());
        for _ in 0..10 {
            held.push(program.run([x]).expect("values"));
        }
        let times = TIMES.get() - times;
        assert!(
            times <= 10 * 3 * 2,
            "{times} allocations in ten runs of three results"
        );
        let batch = x.shape()[0];
        let results = 10 * 4 * (batch * 10 + 1 + batch * 20);
        // The first run uses the results of the last one again, if they fit.
        let bytes = HERE.get() - before;
        assert!(
            bytes <= (results + results / 4 + 10 * 3 * 512) as isize,
            "{bytes} bytes, results have {results}"
        );
        drop(held);
        // Results that are dropped are: nothing is left, and no more than one run's is there at once.
        program.run([x]).expect("values");
        let before = HERE.get();
        let (_, most) = most_of(|| {
            for _ in 0..100 {
                program.run([x]).expect("values");
            }
        });
        assert_eq!(HERE.get(), before, "bytes after a hundred runs");
        let one = results / 10;
        assert!(
            most <= one + one / 4 + 3 * 512,
            "{most} bytes for results of {one}"
        );
    }
}
