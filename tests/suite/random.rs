//! Random nodes: distributions, seeds, executors, programs, training.

use super::panic::caught;
use super::sample::same_bits;
use wengert::prelude::*;

/// A tape with a seed.
fn seeded(seed: u64) -> Tape {
    let tape = Tape::new();
    tape.seed(seed);
    tape
}

const COUNT: usize = 100_000;

/// The largest distance between the distribution of some numbers and one that they should have, times the square root of how many
/// there are (Kolmogorov and Smirnov): above 1.95 once in a thousand samples.
fn distance(mut distribution: Vec<f64>) -> f64 {
    distribution.sort_by(f64::total_cmp);
    let n = distribution.len() as f64;
    let farthest = distribution.iter().enumerate().map(|(i, f)| {
        let (below, above) = (i as f64 / n, (i + 1) as f64 / n);
        (f - below).abs().max((above - f).abs())
    });
    farthest.fold(0.0, f64::max) * n.sqrt()
}

fn moment(x: &[f64], power: i32) -> f64 {
    x.iter().map(|x| x.powi(power)).sum::<f64>() / x.len() as f64
}

/// The correlation of numbers of variance 1 with others.
fn correlation(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / x.len() as f64
}

/// Numbers of both types, in double precision.
fn both<D: Fn(&Tape) -> Vec<f64>>(single: D, double: impl Fn(&Tape) -> Vec<f64>) -> [Vec<f64>; 2] {
    [single(&seeded(1)), double(&seeded(2))]
}

fn wide<T: Float>(x: Var<T>) -> Vec<f64> {
    x.value().iter().map(T::as_f64).collect()
}

#[test]
fn uniform_numbers_are_uniform() {
    let drawn = both(
        |tape| wide(tape.uniform([COUNT], -1.0f32, 3.0)),
        |tape| wide(tape.uniform([COUNT], -1.0f64, 3.0)),
    );
    for x in drawn {
        assert!(x.iter().all(|x| (-1.0..3.0).contains(x)));
        let unit: Vec<f64> = x.iter().map(|x| (x + 1.0) / 4.0).collect();
        let distance = distance(unit.clone());
        assert!(distance < 1.95, "{distance}");
        // The variance is 1/12; standard errors of moments are below 1/3 of the root of the count.
        let bound = 4.0 / 3.0 / (COUNT as f64).sqrt();
        for power in 1..5 {
            let off = moment(&unit, power) - 1.0 / f64::from(power + 1);
            assert!(off.abs() < bound, "{power}: {off}");
        }
        let normed: Vec<f64> = unit.iter().map(|x| (x - 0.5) * 12f64.sqrt()).collect();
        // Neighbors, elements of one block, and elements of neighboring chunks.
        for lag in [1, 16, 32, 48, 64] {
            let found = correlation(&normed, &normed[lag..]);
            assert!(found.abs() < 4.0 / (COUNT as f64).sqrt(), "{lag}: {found}");
        }
    }
}

#[test]
fn every_bit_of_a_uniform_number_is_drawn() {
    let tape = seeded(3);
    let single = tape.uniform([COUNT], 0.0f32, 1.0).value();
    let steps = single.iter().map(|x| f64::from(x) * f64::from(1 << 24));
    let double = tape.uniform([COUNT], 0.0f64, 1.0).value();
    for (bits, steps) in [
        (24, steps.collect::<Vec<f64>>()),
        (53, double.iter().map(|x| x * (1u64 << 53) as f64).collect()),
    ] {
        assert!(steps.iter().all(|x| x.fract() == 0.0));
        for bit in 0..bits {
            let ones = steps.iter().filter(|&&x| x as u64 >> bit & 1 == 1).count();
            assert!(
                ones.abs_diff(COUNT / 2) < 800,
                "bit {bit} of {bits}: {ones}"
            );
        }
    }
}

#[test]
fn normal_numbers_are_normal() {
    let drawn = both(
        |tape| wide(tape.normal([COUNT], 2.0f32, 0.5)),
        |tape| wide(tape.normal([COUNT], 2.0f64, 0.5)),
    );
    for x in drawn {
        let z: Vec<f64> = x.iter().map(|x| (x - 2.0) / 0.5).collect();
        let tape = Tape::inference();
        let scaled = tape.constant(&Tensor::from(z.clone())) * std::f64::consts::FRAC_1_SQRT_2;
        let distribution = ((scaled.erf() + 1.0) * 0.5).value().to_vec();
        let distance = distance(distribution);
        assert!(distance < 1.95, "{distance}");
        // Moments, and the variances of their estimates.
        for (power, moment_is, variance) in
            [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)]
        {
            let off = moment(&z, power) - moment_is;
            let bound = 4.0 * (variance / COUNT as f64).sqrt();
            assert!(off.abs() < bound, "{power}: {off}");
        }
        let beyond = z.iter().filter(|z| z.abs() > 3.0).count();
        assert!(beyond.abs_diff(270) < 66, "{beyond}");
        for lag in [1, 16, 32, 48, 64] {
            let found = correlation(&z, &z[lag..]);
            assert!(found.abs() < 4.0 / (COUNT as f64).sqrt(), "{lag}: {found}");
        }
    }
}

#[test]
fn elements_are_kept_at_the_rate_that_was_asked_for() {
    for rate in [0.1, 0.5, 0.9] {
        let tape = seeded(4);
        let heads = wide::<f32>(tape.bernoulli([COUNT], rate));
        let x = tape.leaf(&Tensor::<f32>::full([COUNT], 3.0));
        let (y, dy) = (x.dropout(rate), x.dropout(rate).sum().gradient(x));
        assert!(heads.iter().all(|x| [0.0, 1.0].contains(x)));
        let deviation = (COUNT as f64 * rate * (1.0 - rate)).sqrt();
        let near = |count: f64, expected: f64| (count - expected).abs() < 4.0 * deviation;
        let expected = COUNT as f64 * rate;
        assert!(near(heads.iter().sum(), expected));
        let dropped = y.value().iter().filter(|y| *y == 0.0).count() as f64;
        assert!(near(dropped, expected));
        let kept = 3.0f32 / (1.0 - rate) as f32;
        assert!(y.value().iter().all(|y| y == 0.0 || y == kept));
        let slope = 1.0f32 / (1.0 - rate) as f32;
        assert!(dy.value().iter().all(|y| y == 0.0 || y == slope));
    }
}

#[test]
fn rates_at_the_ends_and_values_that_are_not_finite() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, f32::INFINITY, f32::NAN, -2.0]));
    assert_eq!(format!("{:?}", x.dropout(0.0)), format!("{x:?}"));
    for rate in [1.0, 1.0 - 1e-13] {
        let y = x.dropout(rate);
        assert_eq!(y.value(), Tensor::from([0.0; 4]));
        assert_eq!(y.sum().gradient(x).value(), Tensor::from([0.0; 4]));
    }
    let bad = tape.leaf(&Tensor::<f32>::full([64], f32::NAN));
    let y = bad.dropout(0.5).value();
    let dropped = y.iter().filter(|y| *y == 0.0).count();
    assert!((10..54).contains(&dropped), "{dropped}");
    assert!(y.iter().all(|y| y == 0.0 || y.is_nan()));
    let low = tape.bernoulli::<f64>([9], 0.0).value();
    let high = tape.bernoulli::<f64>([9], 1.0).value();
    assert_eq!((low, high), (Tensor::zeros([9]), Tensor::ones([9])));
    assert_eq!(
        tape.normal([2], 3.0f32, 0.0).value(),
        Tensor::from([3.0, 3.0])
    );
}

#[test]
fn shapes_without_axes_and_without_elements() {
    fn test<T: Float>() {
        for shape in [Shape::scalar(), Shape::from([0]), Shape::from([2, 0, 3])] {
            let tape = seeded(5);
            let drawn = [
                tape.uniform(&shape, T::ZERO, T::ONE),
                tape.normal(&shape, T::ZERO, T::ONE),
                tape.bernoulli(&shape, 0.5),
                tape.leaf(&Tensor::<T>::ones(&shape)).dropout(0.5),
            ];
            for x in drawn {
                assert_eq!(x.shape(), shape);
                assert_eq!(x.value().shape(), &shape);
                assert!(same_bits(&x.value(), &x.reference_value()));
            }
        }
    }
    test::<f32>();
    test::<f64>();
}

#[test]
fn masks_are_the_same_for_both_types() {
    let mask = |x: &Tensor<f64>| x.map(|x| if x == 0.0 { 0.0 } else { 1.0 });
    let tape = seeded(6);
    let single = tape.leaf(&Tensor::<f32>::ones([1000])).dropout(0.3).value();
    let tape = seeded(6);
    let double = tape.leaf(&Tensor::<f64>::ones([1000])).dropout(0.3).value();
    assert_eq!(mask(&single.cast()), mask(&double));
}

#[test]
fn a_seed_and_a_record_name_the_numbers() {
    let draw = |tape: &Tape| {
        let a = tape.uniform([100], 0.0f64, 1.0);
        let b = tape.uniform([100], 0.0f64, 1.0);
        tape.run([a, b])
    };
    let [a, b] = draw(&seeded(7));
    assert_ne!(a, b);
    assert_eq!(draw(&seeded(7)), [a.clone(), b.clone()]);
    assert_ne!(draw(&seeded(8))[0], a);
    // A fresh tape has the seed 0, also where one with another seed was before.
    assert_eq!(draw(&Tape::new()), draw(&seeded(0)));
    // Whatever is asked for, and however.
    let tape = seeded(7);
    let first = tape.uniform([100], 0.0f64, 1.0);
    let second = tape.uniform([10, 10], 0.0f64, 1.0);
    assert_eq!(second.value().reshape([100]), b);
    assert_eq!(second.reference_value().reshape([100]), b);
    assert_eq!((first.value(), first.value()), (a.clone(), a.clone()));
    // A shorter draw is the beginning of a longer one.
    let tape = seeded(7);
    assert_eq!(tape.uniform([7], 0.0f64, 1.0).value(), a.slice(0, 0..7));
    // A reset keeps the seed.
    let mut tape = seeded(7);
    draw(&tape);
    tape.reset();
    assert_eq!(draw(&tape), [a, b]);
}

#[test]
fn mistakes_are_found_where_they_are_made() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0f32]));
    type Mistake = fn(Var) -> Var;
    let mistakes: [(Mistake, &str); 7] = [
        (
            |x| x.dropout(1.5),
            "dropout: the rate is 1.5, but must be from 0 to 1",
        ),
        (
            |x| x.dropout(f64::NAN),
            "dropout: the rate is NaN, but must be from 0 to 1",
        ),
        (
            |x| x.tape().uniform([1], 2.0, 1.0f32),
            "uniform: no numbers from 2 to 1",
        ),
        (
            |x| x.tape().uniform([1], 0.0, f32::INFINITY),
            "uniform: no numbers from 0 to inf",
        ),
        (
            |x| x.tape().normal([1], 0.0, -1.0f32),
            "normal: -1 is not a standard deviation",
        ),
        (
            |x| x.tape().normal([1], f32::NAN, 1.0),
            "normal: NaN is not a mean",
        ),
        (
            |x| x.tape().bernoulli::<f32>([1], -0.1),
            "bernoulli: -0.1 is not a probability",
        ),
    ];
    for (mistake, message) in mistakes {
        let panic = caught(|| mistake(x));
        assert_eq!(
            (panic.message.as_str(), panic.file.as_str()),
            (message, file!())
        );
    }
    tape.seed(1);
    tape.seed(2);
    let noise = tape.normal([1], 0.0f32, 1.0);
    let panic = caught(|| tape.seed(3));
    assert_eq!(
        panic.message,
        "seed: random numbers were drawn on this tape already: set it before the first ones"
    );
    // No gradient is taken by a random node.
    caught(|| (noise * x).sum().gradient(noise));
    assert_eq!((noise * x).sum().gradient(x).value(), noise.value());
}

#[test]
fn the_record_shows_random_nodes() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0f32, 2.0]));
    let y = x.dropout(0.5) + tape.normal([2], 0.0, 1.0) + tape.uniform([2], 0.0, 1.0);
    for name in ["bernoulli", "normal", "uniform"] {
        for text in [tape.to_string(), tape.to_dot(), tape.explain(y).to_string()] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }
}

/// A loss with dropout in two places, noise, and something recorded with few elements.
fn loss(x: Var, w: Var) -> Var {
    let hidden = x.dropout(0.2).matmul(w).tanh().dropout(0.5);
    let noise = x.tape().normal(hidden.shape(), 0.0, 0.1);
    (hidden + noise).square().mean() + (w * x.tape().uniform([], 0.5, 1.5)).sum()
}

fn data() -> (Tensor, Tensor) {
    let rng = &mut rng(1);
    let x = Tensor::uniform([300, 40], -1.0, 1.0, rng);
    (x, Tensor::uniform([40, 200], -1.0, 1.0, rng))
}

#[test]
fn executors_agree_to_the_bit() {
    let (x, w) = data();
    let tape = seeded(9);
    let (x, w) = (tape.leaf(&x), tape.leaf(&w));
    let loss = loss(x, w);
    let first = loss.value();
    let [dx, dw] = loss.gradients([x, w]);
    let (again, [a, b]) = tape.run((loss, [dx, dw]));
    assert_eq!(first.item().to_bits(), again.item().to_bits());
    assert!(same_bits(&loss.reference_value(), &first));
    assert!(same_bits(&a, &dx.reference_value()) && same_bits(&b, &dw.reference_value()));
    let (_, checked) = (tape.check_values(true), tape.run([dx, dw]));
    assert!(same_bits(&checked[0], &a) && same_bits(&checked[1], &b));
}

#[cfg(feature = "parallel")]
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (x, w) = data();
    let results = [1, 2, 3, 16].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool").install(|| {
            let tape = seeded(10);
            let (x, w) = (tape.leaf(&x), tape.leaf(&w));
            let loss = loss(x, w);
            let noise = tape.normal([200_000], 0.0f32, 1.0);
            let (loss, [dx, dw], noise) = tape.run((loss, loss.gradients([x, w]), noise));
            [loss, dx, dw, noise].map(|x| x.iter().map(f32::to_bits).collect::<Vec<_>>())
        })
    });
    assert!(results.iter().all(|other| *other == results[0]));
}

#[test]
fn programs_draw_by_their_seed() {
    let (x, w) = data();
    let inputs = (ProgramInput::batch([40]), ProgramInput::new([40, 200]));
    let record = |(x, w): (Var, Var)| {
        x.tape().seed(11);
        let loss = loss(x, w);
        (loss, loss.gradients([x, w]))
    };
    let program = Program::record(inputs, record).expect("a program");
    let on_tape = |seed, x: &Tensor| {
        let tape = seeded(seed);
        let (x, w) = (tape.leaf(x), tape.leaf(&w));
        let loss = loss(x, w);
        tape.run((loss, loss.gradients([x, w])))
    };
    for rows in [300, 5, 300, 1] {
        let x = x.slice(0, 0..rows);
        assert_eq!(program.run((&x, &w)).expect("a run"), on_tape(11, &x));
        assert_eq!(
            program.run_seeded(12, (&x, &w)).expect("a run"),
            on_tape(12, &x)
        );
        assert_eq!(program.run((&x, &w)).expect("a run"), on_tape(11, &x));
    }
    // Threads that run with seeds of their own at once.
    let expected: Vec<_> = (0..4).map(|seed| on_tape(seed, &x)).collect();
    std::thread::scope(|scope| {
        for (seed, expected) in expected.iter().enumerate() {
            let (program, x, w) = (&program, &x, &w);
            scope.spawn(move || {
                for _ in 0..5 {
                    let found = program.run_seeded(seed as u64, (x, w));
                    assert_eq!(&found.expect("a run"), expected);
                }
            });
        }
    });
    // A number that happens to be the seed is no seed.
    let program = Program::record([ProgramInput::<i64>::new([1])], |[x]| {
        let noise = x.tape().uniform([1], 0.0f32, 1.0);
        (x + x.tape().number(0i64), noise)
    });
    let program = program.expect("a program");
    let (same, _) = program
        .run_seeded(5, [&Tensor::from([3i64])])
        .expect("a run");
    assert_eq!(same, Tensor::from([3i64]));
}

fn model() -> Sequential {
    let rng = &mut rng(2);
    wengert::sequential![
        Linear::new(8, 16, rng),
        activation::Tanh,
        Linear::new(16, 1, rng)
    ]
}

fn training_loss(model: &Sequential, x: Var, y: Var) -> Var {
    let noisy = x + x.tape().normal(x.shape(), 0.0, 0.01);
    loss::mean_squared_error(model.forward(noisy.dropout(0.3)), y)
}

#[test]
fn a_training_program_is_the_loop_that_records_each_step() {
    let rng = &mut rng(3);
    let x = Tensor::<f32>::uniform([32, 8], -1.0, 1.0, rng);
    let y = Tensor::<f32>::uniform([32, 1], -1.0, 1.0, rng);
    let weights = |model: &Sequential| -> Vec<Vec<u32>> {
        let bits = |(_, p): (String, wengert::ParamRef<'_>)| match p {
            wengert::Any::F32(p) => p.value().iter().map(f32::to_bits).collect(),
            _ => Vec::new(),
        };
        model.named_parameters().into_iter().map(bits).collect()
    };
    for seed in [None, Some(13)] {
        let (mut program_model, mut loop_model) = (model(), model());
        let (mut a, mut b) = (Adam::new(1e-2), Adam::new(1e-2));
        let inputs = (ProgramInput::batch([8]), ProgramInput::batch([1]));
        let mut program = TrainingProgram::new(inputs, |model: &Sequential, (x, y)| {
            training_loss(model, x, y)
        });
        if let Some(seed) = seed {
            program = program.seed(seed);
        }
        let mut losses = Vec::new();
        for step in 0..20 {
            // Another size of batch in between draws by the same count.
            let rows = if step % 5 == 4 { 7 } else { 32 };
            let (x, y) = (x.slice(0, 0..rows), y.slice(0, 0..rows));
            assert_eq!(program.steps(), step);
            let found: f32 = program
                .run(&mut program_model, &mut a, (&x, &y))
                .expect("a step");
            let gradients = value_and_grad(&loop_model, |model, tape| {
                tape.seed(seed_at(seed.unwrap_or(0), step));
                training_loss(model, tape.constant(&x), tape.constant(&y))
            });
            b.step(&mut loop_model, &gradients);
            assert_eq!(found.to_bits(), gradients.value().to_bits());
            assert_eq!(weights(&program_model), weights(&loop_model));
            losses.push(found);
        }
        losses.dedup();
        assert_eq!(losses.len(), 20);
    }
}

#[test]
fn a_training_that_is_resumed_draws_what_comes_next() {
    let run = |first: u64| {
        let mut program =
            TrainingProgram::new([ProgramInput::new([100])], |w: &Param, [x]: [Var; 1]| {
                (x.dropout(0.5) * w.on(x.tape())).sum()
            });
        program.set_steps(first);
        let mut w = Param::new(Tensor::from([1.0f32]));
        let mut sgd = Sgd::new(0.0);
        let x = Tensor::ones([100]);
        let mut step = || program.run(&mut w, &mut sgd, [&x]).expect("a step");
        [step(), step(), step()]
    };
    let (all, later): ([f32; 3], [f32; 3]) = (run(0), run(1));
    assert_eq!(all[1..], later[..2]);
    assert!(all[0] != all[1] || all[1] != all[2]);
}
