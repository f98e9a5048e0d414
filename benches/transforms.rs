//! What transforms cost beside what they are made from: ratios of times and of memory, each pair measured in one run.
//!
//! Run with `cargo bench --bench transforms`; `RAYON_NUM_THREADS=1` for one thread.

use std::hint::black_box;
use std::time::{Duration, Instant};
use wengert::prelude::*;
use wengert::transform::{
    Parameters, checkpoint, gradient, hvp, jvp, per_example_gradients, scan, value_and_gradient,
    vmap,
};

/// The fastest of each of two in turn, so that both see the same machine.
fn race(mut a: impl FnMut(), mut b: impl FnMut()) -> (Duration, Duration) {
    let time = |f: &mut dyn FnMut()| {
        let start = Instant::now();
        f();
        start.elapsed()
    };
    let (mut best_a, mut best_b) = (Duration::MAX, Duration::MAX);
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < 10 || (start.elapsed() < Duration::from_secs(4) && rounds < 2000) {
        let (of_a, of_b) = (time(&mut a), time(&mut b));
        (best_a, best_b) = (best_a.min(of_a), best_b.min(of_b));
        rounds += 1;
    }
    (best_a, best_b)
}

fn report(what: &str, base: Duration, cost: Duration, limit: f64) {
    let ratio = cost.as_secs_f64() / base.as_secs_f64();
    println!("{what:<44} {base:>10.2?} {cost:>10.2?}  ratio {ratio:.2} (wanted: at most {limit})");
}

#[derive(Clone, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}
wengert::module!(Mlp { layers });

impl Mlp {
    fn new(sizes: &[usize]) -> Self {
        let rng = &mut wengert::rng(0);
        Mlp {
            layers: sizes
                .windows(2)
                .map(|s| Linear::new(s[0], s[1], rng))
                .collect(),
        }
    }
}

impl Layer for Mlp {
    fn forward(&self, x: Var) -> Var {
        let (last, hidden) = self.layers.split_last().expect("layers");
        let features = hidden.iter().fold(x, |x, layer| layer.forward(x).relu());
        last.forward(features)
    }
}

/// The network of the benchmark of training steps, and a batch for it.
fn mnist() -> (Mlp, Tensor, Tensor<i64>) {
    let x = Tensor::uniform([128, 784], 0.0, 1.0, &mut wengert::rng(1));
    let y = (0..128).map(|i| (i * 7) % 10).collect();
    let y = Tensor::from_vec([128], y).expect("one axis");
    (Mlp::new(&[784, 512, 512, 10]), x, y)
}

fn of_the_network() {
    let (model, x, y) = mnist();
    let run = |f: &dyn Fn(&Tape, Var, Var<i64>)| {
        let tape = Tape::new();
        f(&tape, tape.constant(&x), tape.constant(&y));
    };
    let loss =
        |p: Parameters, x: Var, y: Var<i64>| p.bound(|| loss::cross_entropy(model.forward(x), y));
    let function = || {
        run(&|tape, x, y| {
            let p = Parameters::on(&model, **tape);
            black_box(tape.run(loss(p, x, y)));
        })
    };
    let directions = |p: &Parameters| p.map_each(|_, w| w);
    let forward = || {
        run(&|tape, x, y| {
            let p = Parameters::on(&model, **tape);
            let v = directions(&p);
            black_box(tape.run(jvp(|p| loss(p, x, y), p, v)));
        })
    };
    let reverse = || {
        run(&|tape, x, y| {
            let p = Parameters::on(&model, **tape);
            black_box(tape.run(value_and_gradient(|p| loss(p, x, y), p)));
        })
    };
    let second = || {
        run(&|tape, x, y| {
            let p = Parameters::on(&model, **tape);
            let v = directions(&p);
            black_box(tape.run(hvp(|p| loss(p, x, y), p, v)));
        })
    };
    let examples = |x: Var, y: Var<i64>| {
        let one = |(x, y): (Var, Var<i64>)| {
            loss::cross_entropy(model.forward(x.unsqueeze(0)), y.unsqueeze(0))
        };
        per_example_gradients(&model, one, (x, y))
    };
    let each = || run(&|tape, x, y| drop(black_box(tape.run(examples(x, y)))));
    let examples = |x, y| examples(x, y).1;
    // Every number of them.
    let whole = || run(&|tape, x, y| drop(black_box(tape.run(examples(x, y).whole()))));
    let each_in_turn = || {
        run(&|tape, x, y| {
            let kept = tape.run(examples(x, y));
            (0..kept.examples()).for_each(|i| drop(black_box(kept.example(i))));
        })
    };
    // What clipping and influence need of them: the norm of each.
    let norms = || {
        run(&|tape, x, y| {
            let norms: Var = examples(x, y).squared_norms();
            black_box(tape.run(norms));
        })
    };
    // The gradient of training with differential privacy.
    let clipped = || {
        run(&|tape, x, y| {
            let each = examples(x, y);
            let norms = each.squared_norms::<f32>().sqrt();
            black_box(tape.run(each.weighted_sum(1.0 / norms.maximum(1.0))));
        })
    };
    let along = || {
        run(&|tape, x, y| {
            let direction = directions(&Parameters::on(&model, **tape));
            let along: Var = examples(x, y).inner_products(&direction);
            black_box(tape.run(along));
        })
    };
    let gram = || {
        run(&|tape, x, y| {
            let gram: Var = examples(x, y).gram();
            black_box(tape.run(gram));
        })
    };
    // The diagonal of a matrix of curvature.
    let squares = || {
        run(&|tape, x, y| {
            let weights = tape.full([128], 1.0_f32 / 128.0);
            black_box(tape.run(examples(x, y).squares().weighted_sum(weights)));
        })
    };
    // The same of the numbers themselves, of each example, as a user may write it who does not know of the factors.
    let squares_of_whole = || {
        run(&|tape, x, y| {
            let square = |(_, g): (&str, wengert::AnyVar)| {
                let g = g.typed::<f32>();
                let axes: Vec<isize> = (1..g.rank() as isize).collect();
                g.square().sum_axes(&axes)
            };
            let whole = examples(x, y).whole();
            let total = whole.iter().map(square).reduce(|a, b| a + b);
            black_box(tape.run(total.expect("parameters")));
        })
    };
    let (a, b) = race(function, forward);
    report("mlp: jvp beside the function", a, b, 2.5);
    let (a, b) = race(reverse, second);
    report("mlp: hvp beside the gradient", a, b, 3.0);
    let (a, b) = race(reverse, each);
    report("mlp: gradients of examples beside gradient", a, b, 1.5);
    for (what, other) in [
        ("squared norms", &norms as &dyn Fn()),
        ("sum of clipped ones", &clipped),
        ("inner products with a direction", &along),
        ("inner products with each other", &gram),
        ("sum of squares", &squares),
        ("each formed in turn", &each_in_turn),
        ("sums of squares of the whole", &squares_of_whole),
        ("all written out", &whole),
    ] {
        let (a, b) = race(reverse, other);
        report(&format!("mlp: gradients of examples, {what}"), a, b, 1.5);
    }
    let (a, b) = race(fill_of_examples(), whole);
    report("mlp: the last beside a fill of as many bytes", a, b, 1.5);
}

/// Writes as many bytes as the gradients of all examples take, into memory that is there: what they would take if they cost nothing
/// else.
fn fill_of_examples() -> impl FnMut() {
    let each = [784 * 512, 512, 512 * 512, 512, 512 * 10, 10];
    let mut elements = vec![0.0_f32; 128 * each.iter().sum::<usize>()];
    move || {
        use rayon::prelude::*;
        let parts = elements.par_chunks_mut(1 << 16);
        parts.for_each(|part| black_box(part).fill(1.0));
    }
}

/// A network so small that no memory limits it: that of the benchmark of training steps, as programs.
fn of_the_smallest() {
    let model = Mlp::new(&[2, 4, 1]);
    let x = Tensor::from([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let y = Tensor::from([[0.0], [1.0], [1.0], [0.0]]);
    let variables = |p: Parameters| p.iter().map(|(_, v)| v.typed()).collect::<Vec<Var>>();
    let inputs = || [ProgramInput::new([4, 2]), ProgramInput::new([4, 1])];
    let loss = |x: Var, y: Var| loss::mean_squared_error(model.forward(x), y);
    let reverse = Program::record(inputs(), |[x, y]: [Var; 2]| {
        let p = Parameters::on(&model, x.tape());
        let (value, all) = value_and_gradient(|p: Parameters| p.bound(|| loss(x, y)), p);
        (value, variables(all))
    });
    let each = Program::record(inputs(), |[x, y]: [Var; 2]| {
        let one = |(x, y): (Var, Var)| loss(x.unsqueeze(0), y.unsqueeze(0));
        let (values, all) = per_example_gradients(&model, one, (x, y));
        (values, variables(all.whole()))
    });
    let (reverse, each) = (reverse.expect("a program"), each.expect("a program"));
    let (a, b) = race(
        || (0..1000).for_each(|_| drop(black_box(reverse.run([&x, &y])))),
        || (0..1000).for_each(|_| drop(black_box(each.run([&x, &y])))),
    );
    report("xor, 1000 runs: gradients of examples beside", a, b, 1.5);
}

/// A recurrent network of 32 units over 100 steps, for a batch of 64: by `vmap`, and written for the batch by hand.
fn of_a_loop() {
    let w = Tensor::uniform([32, 32], -0.2, 0.2, &mut wengert::rng(1));
    let examples = Tensor::uniform([64, 100, 32], -1.0, 1.0, &mut wengert::rng(2));
    let run = |f: &dyn Fn(Var, Var) -> Var, derived: bool| {
        let tape = Tape::new();
        let (w, xs) = (tape.leaf(&w), tape.constant(&examples));
        let y = f(w, xs);
        black_box(if derived {
            y.gradient(w).value()
        } else {
            y.value()
        });
    };
    let last = |w: Var, start: Var, xs: Var| {
        let step = |h: Var, x: Var| ((h.matmul(w) + x).tanh(), x);
        scan(step, start, xs).0.square().sum()
    };
    let by_hand =
        |w: Var, xs: Var| last(w, w.tape().full([64, 32], 0.0_f32), xs.permute([1, 0, 2]));
    let by_vmap = |w: Var, xs: Var| {
        let start = w.tape().full([1, 32], 0.0_f32);
        vmap(|xs: Var| last(w, start, xs.unsqueeze(1)), xs).sum()
    };
    for (what, derived) in [("function", false), ("gradient", true)] {
        let (a, b) = race(|| run(&by_hand, derived), || run(&by_vmap, derived));
        report(
            &format!("loop: vmap beside a batch by hand, {what}"),
            a,
            b,
            1.5,
        );
    }
}

fn of_a_chain() {
    let x = Tensor::uniform([1 << 20], -1.0, 1.0, &mut wengert::rng(2));
    let f = |x: Var| (0..10).fold(x, |x, _| (x * 1.1 + 0.1).tanh() * x).sum();
    let run = |g: &dyn Fn(&Tape, Var)| {
        let tape = Tape::new();
        g(&tape, tape.constant(&x));
    };
    let function = || run(&|tape, x| drop(black_box(tape.run(f(x)))));
    let forward = || run(&|tape, x| drop(black_box(tape.run(jvp(f, x, x)))));
    let reverse = || run(&|tape, x| drop(black_box(tape.run(gradient(f, x)))));
    let second = || run(&|tape, x| drop(black_box(tape.run(hvp(f, x, x)))));
    let (a, b) = race(function, forward);
    report("chain: jvp beside the function", a, b, 2.5);
    let (a, b) = race(reverse, second);
    report("chain: hvp beside the gradient", a, b, 3.0);
}

/// A network of 32 layers, cut into parts.
enum Part {
    Plain(usize),
    Again(usize),
    /// A part of a part: its layers are computed three times, and so many more layers twice.
    Twice(usize, usize),
}

use Part::{Again, Plain, Twice};

fn of_checkpoints() {
    // The earlier a part, the fewer inputs of others are kept while it is computed again: the longer it may be. The last is not.
    let whole = [Plain(32)];
    let tanh: fn(Var) -> Var = Var::tanh;
    let parts = [Again(7), Again(7), Again(6), Again(5), Again(4), Plain(3)];
    of_parts("tanh", tanh, WIDE, &whole, &parts);
    let parts = [
        Twice(6, 5),
        Twice(2, 5),
        Again(5),
        Again(4),
        Again(3),
        Plain(2),
    ];
    of_parts("tanh, parts of parts", tanh, WIDE, &whole, &parts);
    of_parts("tanh, 128 wide, parts of parts", tanh, LONG, &whole, &parts);
    let gelu: fn(Var) -> Var = Var::gelu;
    let lengths = [5, 5, 4, 4, 3, 3, 3, 2, 2];
    let parts: Vec<Part> = lengths.map(Again).into_iter().chain([Plain(1)]).collect();
    of_parts("gelu", gelu, WIDE, &whole, &parts);
}

/// Examples, and units of each layer: gradients of weights take a sixteenth of what the 32 activations take, or a 128th.
const WIDE: [usize; 2] = [4096, 256];
const LONG: [usize; 2] = [16_384, 128];

fn of_parts(
    name: &str,
    activation: fn(Var) -> Var,
    sizes: [usize; 2],
    whole: &[Part],
    parts: &[Part],
) {
    let model = Mlp::new(&[sizes[1]; 33]);
    let x = Tensor::uniform(sizes, -1.0, 1.0, &mut wengert::rng(3));
    let through = |x: Var, layers: &[Linear]| {
        let layer = |x, layer: &Linear| activation(layer.forward(x));
        layers.iter().fold(x, layer)
    };
    let step = |parts: &[Part]| {
        let tape = Tape::new();
        let p = Parameters::on(&model, *tape);
        let x = tape.constant(&x);
        let mut layers = &model.layers[..];
        let mut next = |count: usize| {
            let (these, rest) = layers.split_at(count);
            layers = rest;
            these
        };
        let loss = parts.iter().fold(x, |x, part| match *part {
            Plain(count) => through(x, next(count)),
            Again(count) => checkpoint(|x| through(x, next(count)), x),
            Twice(first, then) => checkpoint(
                |x| {
                    let x = checkpoint(|x| through(x, next(first)), x);
                    through(x, next(then))
                },
                x,
            ),
        });
        let loss = loss.square().mean();
        let leaves: Vec<Var> = p.iter().map(|(_, w)| w.typed()).collect();
        let leaves: [Var; 64] = leaves.try_into().expect("weights and biases of 32 layers");
        black_box(tape.run((loss, loss.gradients(leaves))));
        tape.peak_bytes()
    };
    let (plain, less) = (step(whole), step(parts));
    let (a, b) = race(|| _ = step(whole), || _ = step(parts));
    report(
        &format!("32 layers, {name}: checkpoints beside none"),
        a,
        b,
        1.4,
    );
    let mib = |bytes: usize| bytes as f64 / (1 << 20) as f64;
    println!(
        "{:<44} {:>7.1} MiB {:>6.1} MiB  ratio {:.2} (wanted: at least 4)",
        "    peak",
        mib(plain),
        mib(less),
        plain as f64 / less as f64
    );
}

fn main() {
    of_a_chain();
    of_a_loop();
    of_checkpoints();
    of_the_network();
    of_the_smallest();
}
