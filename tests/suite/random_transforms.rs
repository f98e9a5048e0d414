//! Random nodes under transforms.

use super::panic::caught;
use super::sample::same_bits;
use super::transforms::close;
use wengert::check::{self, Check};
use wengert::prelude::*;
use wengert::transform::{
    checkpoint, custom_vjp, fixed_point, gradient, hessian, hvp, implicit_root, jacobian, jvp,
    scan, vmap,
};

fn seeded(seed: u64) -> Tape {
    let tape = Tape::new();
    tape.seed(seed);
    tape
}

/// A layer with dropout and noise.
fn part([w, x]: [Var; 2]) -> [Var; 2] {
    let noise = x.tape().normal(x.shape(), 0.0, 0.1);
    [w, (x.dropout(0.3).matmul(w) + noise).tanh().dropout(0.2)]
}

/// How a function is applied: as it is, or computed again in the backward pass.
type Apply = fn(fn([Var; 2]) -> [Var; 2], [Var; 2]) -> [Var; 2];

fn plain(f: fn([Var; 2]) -> [Var; 2], inputs: [Var; 2]) -> [Var; 2] {
    f(inputs)
}

fn again(f: fn([Var; 2]) -> [Var; 2], inputs: [Var; 2]) -> [Var; 2] {
    checkpoint(f, inputs)
}

fn nested(f: fn([Var; 2]) -> [Var; 2], inputs: [Var; 2]) -> [Var; 2] {
    checkpoint(|inputs| checkpoint(f, inputs), inputs)
}

const APPLIED: [Apply; 3] = [plain, again, nested];

fn loss(apply: Apply, w: Var, x: Var) -> Var {
    let [_, y] = (0..3).fold([w, x], |inputs, _| apply(part, inputs));
    y.square().mean()
}

fn data() -> (Tensor, Tensor) {
    let rng = &mut rng(1);
    let w = Tensor::uniform([64, 64], -0.3, 0.3, rng);
    (w, Tensor::uniform([200, 64], -1.0, 1.0, rng))
}

fn bits(tensors: &[&Tensor]) -> Vec<u32> {
    let all = tensors.iter().flat_map(|tensor| tensor.iter());
    all.map(f32::to_bits).collect()
}

#[test]
fn a_part_that_is_computed_again_draws_the_same_numbers() {
    let (w, x) = data();
    let step = |apply| {
        let tape = seeded(3);
        let (w, x) = (tape.leaf(&w), tape.leaf(&x));
        let loss = loss(apply, w, x);
        let (loss, [dw, dx]) = tape.run((loss, loss.gradients([w, x])));
        bits(&[&loss, &dw, &dx])
    };
    let expected = step(plain);
    for apply in APPLIED {
        assert!(step(apply) == expected);
    }
    // As a program, with the recorded seed and with another.
    for apply in APPLIED {
        let inputs = (ProgramInput::new([64, 64]), ProgramInput::batch([64]));
        let program = Program::record(inputs, |(w, x): (Var, Var)| {
            let loss = loss(apply, w, x);
            (loss, loss.gradients([w, x]))
        });
        let program = program.expect("a program");
        let (loss, [dw, dx]) = program.run_seeded(3, (&w, &x)).expect("a run");
        assert!(bits(&[&loss, &dw, &dx]) == expected);
        let (loss, [dw, dx]) = program.run((&w, &x)).expect("a run");
        assert!(bits(&[&loss, &dw, &dx]) != expected);
    }
    #[cfg(feature = "parallel")]
    for threads in [1, 2, 3, 16] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        assert!(pool.expect("a pool").install(|| step(again)) == expected);
    }
}

#[test]
fn a_value_that_is_asked_for_before_the_gradient_changes_nothing() {
    let (w, x) = data();
    let tape = seeded(4);
    let (w, x) = (tape.leaf(&w), tape.leaf(&x));
    let loss = loss(again, w, x);
    let first = loss.value();
    let dw = loss.gradient(w);
    assert!(same_bits(&dw.value(), &dw.reference_value()));
    assert!(same_bits(&first, &loss.reference_value()));
}

#[test]
fn a_part_that_is_computed_again_keeps_no_mask() {
    let x = Tensor::<f32>::ones([1 << 16]);
    let peak = |apply: fn(fn(Var) -> Var, Var) -> Var| {
        let tape = seeded(5);
        let x = tape.leaf(&x);
        let layer = |x: Var| (0..24).fold(x, |x, _| x.dropout(0.1).tanh());
        let y = (0..4).fold(x, |x, _| apply(layer, x)).sum();
        tape.run((y, y.gradient(x)));
        tape.peak_bytes()
    };
    let (kept, again) = (peak(|f, x| f(x)), peak(|f, x| checkpoint(f, x)));
    assert!(2 * again < kept, "{again} of {kept}");
}

#[test]
fn every_example_of_a_batch_draws_its_own_numbers() {
    let tape = seeded(6);
    let x = tape.leaf(&Tensor::<f32>::ones([50, 40]));
    let y = vmap(|x: Var| x.dropout(0.5), x);
    let rows = y.value();
    assert!(same_bits(&rows, &y.reference_value()));
    for i in 0..50 {
        assert!((0..i).all(|j| rows.row(i) != rows.row(j)));
    }
    let kept = rows.iter().filter(|y| *y != 0.0).count();
    assert!(kept.abs_diff(1000) < 90, "{kept}");
    assert_eq!(y.sum().gradient(x).value(), rows);
    // What was drawn before is shared, and so is what is drawn of no example at once.
    let shared = tape.uniform([40], 0.0, 1.0);
    let y = vmap(|x: Var| x * shared, x).value();
    assert!((0..50).all(|i| y.row(i) == shared.value()));
    // Two calls differ, and two nodes of one call do.
    let twice = vmap(|x: Var| [x.dropout(0.5), x.dropout(0.5)], x);
    let [a, b] = tape.run(twice);
    assert!(a != b && a != rows && b != rows);
    // No examples.
    let none = tape.leaf(&Tensor::<f32>::ones([0, 3]));
    assert_eq!(
        vmap(|x: Var| x.dropout(0.5), none).value().shape(),
        &Shape::from([0, 3])
    );
}

#[test]
fn batches_of_batches_and_gradients_of_examples_draw_their_own_numbers() {
    let tape = seeded(7);
    let x = tape.leaf(&Tensor::<f32>::ones([6, 5, 20]));
    let y = vmap(|x: Var| vmap(|x: Var| x.dropout(0.5), x), x).value();
    let rows: Vec<Tensor> = y.reshape([30, 20]).rows().collect();
    for i in 0..30 {
        assert!((0..i).all(|j| rows[i] != rows[j]));
    }
    // The gradient of each example has the mask of its value.
    let x = tape.leaf(&Tensor::uniform([9, 30], 1.0f32, 2.0, &mut rng(1)));
    let both = vmap(
        |x: Var| {
            let y = x.dropout(0.5);
            [y, gradient(|x| x.dropout(0.5).sum(), x), y.sum() + x]
        },
        x,
    );
    let [y, other, _] = tape.run(both);
    assert_ne!(y.map(|y| y != 0.0), other.map(|y| y != 0.0));
    let y = vmap(|x: Var| x.dropout(0.5), x);
    let dx = y.sum().gradient(x);
    let (y, dx) = tape.run((y, dx));
    assert_eq!(y.map(|y| y != 0.0), dx.map(|y| y != 0.0));
    let each = vmap(
        |x: Var| {
            let (y, dx) = wengert::transform::value_and_gradient(|x| x.dropout(0.5).sum(), x);
            [y, (x * dx).sum()]
        },
        x,
    );
    let [y, dot] = tape.run(each);
    assert!(y.all_close(&dot, 1e-5, 0.0));
}

#[test]
fn parts_of_examples_are_computed_again_with_their_own_numbers() {
    let examples = |apply: Apply| {
        let tape = seeded(8);
        let (w, x) = data();
        let (w, x) = (
            tape.leaf(&w),
            tape.leaf(&x.slice(0, 0..12).reshape([12, 1, 64])),
        );
        let scale = tape.constant(&Tensor::uniform([12], 1.0, 2.0, &mut rng(2)));
        let y = vmap(
            |(x, scale): (Var, Var)| {
                // A constant that differs from example to example, and what is computed of it.
                let doubled = scale.stop_gradient() * 2.0;
                let [_, y] = apply(part, [w, x]);
                let y = checkpoint(|y: Var| y * doubled, y);
                let [_, y] = apply(part, [w, y]);
                y.square().sum()
            },
            (x, scale),
        );
        let loss = y.sum();
        let (y, [dw, dx]) = tape.run((y, loss.gradients([w, x])));
        bits(&[&y, &dw, &dx])
    };
    let expected = examples(plain);
    assert!(examples(again) == expected && examples(nested) == expected);
    // An index that differs from example to example, read by a part that is computed again.
    let tape = Tape::new();
    let table = tape.leaf(&Tensor::from([1.0f32, 2.0, 3.0]));
    let index = tape.constant(&Tensor::from([[2i64], [0], [2]]));
    let y = vmap(
        |i: Var<i64>| checkpoint(|t: Var| t.gather(0, i).square(), table),
        index,
    );
    assert_eq!(y.value(), Tensor::from([[9.0], [1.0], [9.0]]));
    assert_eq!(
        y.sum().gradient(table).value(),
        Tensor::from([2.0, 0.0, 12.0])
    );
}

#[test]
fn rules_and_hooks_that_draw_do_so_for_each_example() {
    let tape = seeded(9);
    let x = tape.leaf(&Tensor::<f32>::ones([4, 30]));
    let noisy = |x: Var| custom_vjp(|x: Var| x * 1.0, |_, _, ct: Var| ct.dropout(0.5), x);
    let hooked = |x: Var| x.on_cotangent(|ct| ct.dropout(0.5));
    for y in [vmap(noisy, x), vmap(hooked, x)] {
        let dx = y.sum().gradient(x).value();
        for i in 0..4 {
            assert!((0..i).all(|j| dx.row(i) != dx.row(j)));
        }
    }
}

#[test]
fn derivatives_of_every_kind_have_the_same_mask() {
    let values = Tensor::<f64>::uniform([12], 0.5, 2.0, &mut rng(3));
    let vector = Tensor::<f64>::uniform([12], -1.0, 1.0, &mut rng(4));
    let f = |x: Var<f64>| x.dropout(0.4).pow(3.0);
    // The mask, on a tape where nothing else is drawn before it.
    let mask = seeded(10)
        .leaf(&Tensor::<f64>::ones([12]))
        .dropout(0.4)
        .value();
    assert!(mask.iter().any(|m| m == 0.0) && mask.iter().any(|m| m != 0.0));
    let with = |g: &dyn Fn(Var<f64>, Var<f64>) -> Var<f64>| {
        let tape = seeded(10);
        let (x, v) = (tape.leaf(&values), tape.constant(&vector));
        g(x, v).value()
    };
    let of = |g: &dyn Fn(f64, f64, f64) -> f64| {
        let all = values.iter().zip(vector.iter()).zip(mask.iter());
        Tensor::from(all.map(|((x, v), m)| g(x, v, m)).collect::<Vec<f64>>())
    };
    let diagonal =
        |d: Tensor<f64>| Tensor::from_fn([12, 12], |i| if i[0] == i[1] { d[[i[0]]] } else { 0.0 });
    let slope = |x: f64, m: f64| 3.0 * (x * m).powi(2) * m;
    let bend = |x: f64, m: f64| 6.0 * x * m * m * m;
    let cases = [
        ("value", with(&|x, _| f(x)), of(&|x, _, m| (x * m).powi(3))),
        (
            "gradient",
            with(&|x, _| gradient(|x| f(x).sum(), x)),
            of(&|x, _, m| slope(x, m)),
        ),
        (
            "jvp",
            with(&|x, v| jvp(f, x, v).1),
            of(&|x, v, m| slope(x, m) * v),
        ),
        (
            "hvp",
            with(&|x, v| hvp(|x| f(x).sum(), x, v)),
            of(&|x, v, m| bend(x, m) * v),
        ),
        (
            "jacobian",
            with(&|x, _| jacobian(f, x)),
            diagonal(of(&|x, _, m| slope(x, m))),
        ),
        (
            "hessian",
            with(&|x, _| hessian(|x| f(x).sum(), x)),
            diagonal(of(&|x, _, m| bend(x, m))),
        ),
        (
            "second order through a part that is computed again",
            with(&|x, v| hvp(|x| checkpoint(f, x).sum(), x, v)),
            of(&|x, v, m| bend(x, m) * v),
        ),
    ];
    for (what, found, expected) in cases {
        close(what, &found, &expected).unwrap();
    }
    // What is stopped stays stopped.
    let tape = seeded(10);
    let x = tape.leaf(&values);
    let dx = (x.dropout(0.4).stop_gradient() * x)
        .sum()
        .gradient(x)
        .value();
    close("stopped", &dx, &of(&|x, _, m| x * m)).unwrap();
}

#[test]
fn every_step_of_a_loop_draws_new_numbers_and_the_backward_pass_the_same() {
    let values = Tensor::<f64>::uniform([7, 25], 0.5, 2.0, &mut rng(5));
    let tape = seeded(11);
    let (x, w) = (tape.leaf(&values), tape.leaf(&Tensor::from(0.7)));
    let step = |state: Var<f64>, x: Var<f64>| {
        let y = x.dropout(0.5);
        (state * 0.5 + y * w, y)
    };
    let (last, all) = scan(step, tape.full([25], 0.0f64), x);
    let drawn = all.value();
    assert!(same_bits(&drawn, &all.reference_value()));
    let masks: Vec<Vec<f64>> = (0..7)
        .map(|t| {
            drawn
                .row(t)
                .iter()
                .zip(values.row(t).iter())
                .map(|(y, x)| (y / x).round())
                .collect()
        })
        .collect();
    for t in 0..7 {
        assert!(masks[t].iter().all(|m| [0.0, 2.0].contains(m)));
        assert!((0..t).all(|s| masks[s] != masks[t]));
    }
    let mask = Tensor::from_fn([7, 25], |i| masks[i[0]][i[1]]);
    // Backwards in one node: the derivative of the sum of the last state.
    let loss = last.square().sum();
    let dx = loss.gradient(x);
    let ddx = dx.square().sum().gradient(x);
    let half = |t: usize| 0.5f64.powi(6 - t as i32);
    let state: Vec<f64> = (0..25)
        .map(|j| {
            (0..7)
                .map(|t| 0.7 * half(t) * mask[[t, j]] * values[[t, j]])
                .sum()
        })
        .collect();
    let share = |t: usize, j: usize| 0.7 * half(t) * mask[[t, j]];
    let first = Tensor::from_fn([7, 25], |i| 2.0 * state[i[1]] * share(i[0], i[1]));
    close("gradient", &dx.value(), &first).unwrap();
    // Recorded step by step: the derivative of the sum of squares of the gradient, 4 s^2 sum of shares^2.
    let squares: Vec<f64> = (0..25)
        .map(|j| (0..7).map(|t| share(t, j).powi(2)).sum())
        .collect();
    let second = Tensor::from_fn([7, 25], |i| {
        8.0 * state[i[1]] * squares[i[1]] * share(i[0], i[1])
    });
    close("second order", &ddx.value(), &second).unwrap();
    // For a batch of sequences, and as a program with a seed.
    let xs = tape.leaf(&Tensor::<f64>::ones([3, 4, 20]));
    let zero = tape.full([20], 0.0f64);
    let rows = vmap(
        |x: Var<f64>| scan(|s: Var<f64>, x: Var<f64>| (s, x.dropout(0.5)), zero, x).1,
        xs,
    );
    let rows: Vec<Tensor<f64>> = rows.value().reshape([12, 20]).rows().collect();
    for i in 0..12 {
        assert!((0..i).all(|j| rows[i] != rows[j]));
    }
    let program = Program::record([ProgramInput::<f64>::new([7, 25])], |[x]: [Var<f64>; 1]| {
        let zero = x.tape().full([25], 0.0f64);
        let (_, all) = scan(|s: Var<f64>, x: Var<f64>| (s, x.dropout(0.5)), zero, x);
        (all, all.sum().gradient(x))
    });
    let program = program.expect("a program");
    let (all, dx) = program.run_seeded(11, [&values]).expect("a run");
    close("program", &all, &drawn).unwrap();
    close("program", &dx, &mask).unwrap();
    assert_ne!(program.run([&values]).expect("a run").0, all);
}

#[test]
fn a_loop_without_random_steps_refuses_to_draw_backwards() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::<f32>::ones([3, 2]));
    let step = |s: Var, x: Var| {
        let y = custom_vjp(|x: Var| x * 1.0, |_, _, ct: Var| ct.dropout(0.5), x);
        (s + y, y)
    };
    let (last, _) = scan(step, tape.full([2], 0.0f32), x);
    let panic = caught(|| last.sum().gradient(x));
    assert_eq!(
        panic.message,
        "bernoulli: the step of a scan that draws no random numbers cannot do so in its backward pass"
    );
}

#[test]
fn gradients_of_random_functions_are_checked() {
    let x = Tensor::<f64>::uniform([4, 3], 0.5, 2.0, &mut rng(6));
    let f = |[x]: [Var<f64>; 1]| {
        let noise = x.tape().normal([3], 0.0, 0.5);
        ((x.dropout(0.3) + noise) * x.tape().uniform([4, 1], 0.5, 1.5))
            .sin()
            .dropout(0.2)
    };
    check::gradients(f, [&x]).expect("the right gradients");
    check::gradients(|[x]| checkpoint(|x| f([x]), x), [&x]).expect("the right gradients");
    check::gradients(|[x]| vmap(|x: Var<f64>| x.dropout(0.4).square(), x), [&x])
        .expect("the right gradients");
    // A seed of its own, set at each evaluation.
    let seeded = |[x]: [Var<f64>; 1]| {
        x.tape().seed(5);
        f([x])
    };
    Check::new()
        .order(2)
        .gradients(seeded, [&x])
        .expect("the right gradients");
    // A wrong rule is still found.
    let wrong = |[x]: [Var<f64>; 1]| {
        custom_vjp(
            |x: Var<f64>| x.square(),
            |x: Var<f64>, _, ct: Var<f64>| ct * x,
            x.dropout(0.3),
        )
    };
    assert!(check::gradients(wrong, [&x]).is_err());
}

#[test]
fn an_equation_with_dropout_is_one_equation() {
    let tape = seeded(12);
    let a = tape.leaf(&Tensor::from([1.0f64, 2.0, 3.0, 4.0, 5.0, 6.0]));
    // z = z / 2 + mask a: so z = 2 mask a.
    let z = fixed_point(
        |z: Var<f64>, a: Var<f64>| z * 0.5 + a.dropout(0.5),
        &Tensor::zeros([6]),
        a,
    );
    let z = z.expect("it converges");
    let pairs = (z.value(), a.value());
    let masks: Vec<f64> = pairs
        .0
        .iter()
        .zip(pairs.1.iter())
        .map(|(z, a)| z / (2.0 * a))
        .collect();
    let da = z.sum().gradient(a).value();
    let expected: Vec<f64> = masks.iter().map(|m| 2.0 * m).collect();
    assert!(da.all_close(&Tensor::from(expected), 1e-6, 1e-9), "{da:?}");
    assert!(masks.iter().any(|m| *m > 1.0) && masks.iter().any(|m| *m < 1.0));
    // Nothing else draws its numbers.
    let other = a.dropout(0.5);
    assert_eq!(other.shape(), Shape::from([6]));
}

/// The root of `z^2 - p` by a solver of no particular kind.
fn root(p: Var<f64>) -> Var<f64> {
    let solve = |p: Tensor<f64>| Ok(Tensor::from(p.item().sqrt()));
    implicit_root(solve, |z, p| z * z - p, p).expect("a root")
}

#[test]
fn roots_for_each_example_are_those_of_what_it_drew() {
    let tape = Tape::new();
    let xs = tape.leaf(&Tensor::<f64>::from([1.0, 2.0, 3.0]));
    let one = |x: Var<f64>| {
        let p = x + x.tape().uniform([], 0.5, 1.5);
        let first = root(p);
        // Drawn once more after the batch was looked at.
        (p, first * x.tape().uniform([], 1.0, 2.0), first)
    };
    let (p, scaled, roots) = vmap(one, xs);
    let slope = roots.sum().gradient(xs);
    let (p, scaled, roots, slope) = tape.run((p, scaled, roots, slope));
    let drawn: Vec<f64> = p.iter().zip([1.0, 2.0, 3.0]).map(|(p, x)| p - x).collect();
    assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2]);
    for k in 0..3 {
        let right = p[[k]].sqrt();
        assert!((roots[[k]] - right).abs() < 1e-12);
        assert!((slope[[k]] - 0.5 / right).abs() < 1e-12);
        let factor = scaled[[k]] / right;
        assert!((1.0..2.0).contains(&factor));
    }
}

#[test]
fn iterations_for_a_batch_do_not_draw() {
    let panic = caught(|| {
        let tape = Tape::new();
        let xs = tape.leaf(&Tensor::<f64>::from([1.0, 2.0]));
        let f = |z: Var<f64>, a: Var<f64>| (z * 0.5 + a).dropout(0.1);
        vmap(
            |a| fixed_point(f, &Tensor::from(1.0), a).expect("a point"),
            xs,
        );
    });
    assert!(
        panic
            .message
            .contains("a fixed point within vmap cannot draw random numbers"),
        "{panic:?}"
    );
}

#[test]
fn loops_in_loops_draw_at_every_step_of_both() {
    let (rows, columns) = (3, 4);
    let draws = |x: Var<f64>| {
        let inner = |state: Var<f64>, x: Var<f64>| {
            let y = state * 0.5 + x * x.tape().uniform([], 0.5, 1.5);
            (y, y)
        };
        let outer = move |state: Var<f64>, row: Var<f64>| {
            let (last, all) = scan(inner, state, row);
            (last.dropout(0.2), all)
        };
        let zero = x.tape().full([], 0.0f64);
        scan(outer, zero, x).1
    };
    let x = Tensor::<f64>::ones([rows, columns]);
    let tape = Tape::new();
    let all = draws(tape.constant(&x)).value();
    // What a step adds is the number that it drew: all of them differ.
    let added = |i: usize, j: usize| all[[i, j]] - 0.5 * all[[i, j - 1]];
    let mut seen: Vec<f64> = (0..rows)
        .flat_map(|i| (1..columns).map(move |j| (i, j)))
        .map(|(i, j)| added(i, j))
        .collect();
    assert!(seen.iter().all(|x| (0.5..1.5).contains(x)));
    seen.sort_by(f64::total_cmp);
    assert!(seen.windows(2).all(|two| two[1] - two[0] > 1e-9));
    check::gradients(|[x]: [Var<f64>; 1]| draws(x).square().sum(), [&x])
        .expect("the same numbers backwards");
}

#[test]
fn a_seed_is_not_set_within_a_transformed_function() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::<f32>::ones([3]));
    let panic = caught(|| {
        vmap(
            |x: Var| {
                x.tape().seed(1);
                x
            },
            x,
        )
    });
    assert_eq!(
        panic.message,
        "seed: it is that of the whole tape: set it outside of the function that is transformed"
    );
    // Afterwards the tape draws with its own key again.
    tape.seed(1);
    let other = seeded(1);
    let y = other.leaf(&Tensor::<f32>::ones([3]));
    assert_eq!(x.dropout(0.5).value(), y.dropout(0.5).value());
}
