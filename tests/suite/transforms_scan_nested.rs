//! Loops within loops, within parts that are computed again, and with such parts inside: against the same written out.

use super::panic::caught;
use super::transforms::close;
use std::cell::Cell;
use std::rc::Rc;
use wengert::transform::{
    checkpoint, custom_operation, custom_vjp, gradient, hessian, hvp, implicit_root, jacobian, jvp,
    scan, vmap,
};
use wengert::{Layer, Linear, Program, ProgramInput, Tape, Tensor, Var, rng};

type V = Var<f64>;

/// A function of two variables: a matrix from outside, and the one that transforms take derivatives by.
type Function<'a> = &'a dyn Fn(V, V) -> V;

fn points(shape: impl Into<wengert::Shape>, seed: u64) -> Tensor<f64> {
    Tensor::uniform(shape, -1.0, 1.0, &mut rng(seed))
}

fn batch(shape: &[usize]) -> (Tape, V, V) {
    let tape = Tape::new();
    let w = tape.leaf(&points([2, 2], 1));
    let whole: Vec<usize> = [3].into_iter().chain(shape.iter().copied()).collect();
    let batch = tape.leaf(&points(&whole[..], 4));
    (tape, w, batch)
}

/// `f` and `known` have the same values and derivatives, alone and under each transform, with both executors.
fn compare(f: Function<'_>, known: Function<'_>, shape: &[usize]) {
    let (tape, w, batch) = batch(shape);
    let (x, v) = (
        tape.leaf(&points(shape, 2)),
        tape.constant(&points(shape, 3)),
    );
    let agree = |what: &str, of: &dyn Fn(Function<'_>) -> Vec<V>| {
        for (k, (a, b)) in of(f).into_iter().zip(of(known)).enumerate() {
            let what = format!("{what}, {k}");
            close(&what, &a.value(), &b.value()).unwrap();
            close(&what, &a.reference_value(), &b.value()).unwrap();
        }
    };
    let scalar = |f: Function<'_>, w: V, x: V| f(w, x).square().sum().sin();
    agree("value", &|f| vec![f(w, x)]);
    agree("gradients", &|f| scalar(f, w, x).gradients([w, x]).to_vec());
    agree("jvp", &|f| vec![jvp(|x| f(w, x), x, v).1]);
    agree("jvp of the gradient", &|f| {
        vec![jvp(|x| gradient(|x| scalar(f, w, x), x), x, v).1]
    });
    agree("hvp", &|f| vec![hvp(|x| scalar(f, w, x), x, v)]);
    agree("jacobian", &|f| vec![jacobian(|w| f(w, x), w)]);
    agree("hessian", &|f| {
        let [[ww, wx], [xw, xx]] = hessian(|[w, x]| scalar(f, w, x), [w, x]);
        vec![ww, wx, xw, xx]
    });
    agree("third", &|f| {
        let slope = |x| gradient(|x| scalar(f, w, x), x).square().sum();
        vec![gradient(
            |w| gradient(|x| scalar(f, w, x) + slope(x), x).square().sum(),
            w,
        )]
    });
    agree("vmap", &|f| vec![vmap(|x| f(w, x), batch)]);
    agree("vmap of hvp", &|f| {
        vec![vmap(|x| hvp(|x| scalar(f, w, x), x, v), batch)]
    });
    agree("vmap of the gradient", &|f| {
        vec![vmap(
            |x| gradient(|[w, x]| scalar(f, w, x), [w, x])[0],
            batch,
        )]
    });
    agree("gradient of vmap", &|f| {
        let of_batch = vmap(|x| scalar(f, w, x), batch).sum();
        of_batch.gradients([w, batch]).to_vec()
    });
    agree("gradient of vmap of the gradient", &|f| {
        let slope = |x| gradient(|x| scalar(f, w, x), x);
        let of_batch = vmap(slope, batch).square().sum();
        of_batch.gradients([w, batch]).to_vec()
    });
}

/// As `looped` below, written out.
fn written_out(w: V, xs: V) -> V {
    let tape = w.tape();
    let mut state = tape.full([2], 0.5);
    let mut all = Vec::new();
    for t in 0..xs.shape()[0] {
        let x = xs.at(0, t as isize);
        for s in 0..x.shape()[0] {
            state = (w.matmul(state) + x.at(0, s as isize)).tanh();
        }
        all.push(state.square().sum() * x.sum());
    }
    Var::stack(&all, 0) + state.sum()
}

fn looped(w: V, xs: V) -> V {
    let inner = |state: V, x: V| ((w.matmul(state) + x).tanh(), state);
    let outer = |state: V, x: V| {
        let (state, _) = scan(inner, state, x);
        (state, state.square().sum() * x.sum())
    };
    let (last, all) = scan(outer, w.tape().full([2], 0.5), xs);
    all + last.sum()
}

#[test]
fn a_loop_within_a_loop() {
    compare(&looped, &written_out, &[3, 2, 2]);
}

#[test]
fn a_loop_within_a_loop_within_a_loop() {
    let known = |w: V, xs: V| {
        let mut state = w.tape().full([], 0.25);
        for i in 0..2 {
            let before = state;
            for j in 0..2 {
                for k in 0..2 {
                    state = (state * w.at(0, 0).at(0, 1) + xs.at(0, i).at(0, j).at(0, k) * before)
                        .sin();
                }
            }
        }
        state
    };
    let f = |w: V, xs: V| {
        // Each loop reads the state of the outermost.
        let first = |state: V, x: V| {
            let before = state;
            let second = |state: V, x: V| {
                let third = |state: V, x: V| {
                    let next = (state * w.at(0, 0).at(0, 1) + x * before).sin();
                    (next, next)
                };
                (scan(third, state, x).0, x)
            };
            (scan(second, state, x).0, x)
        };
        scan(first, w.tape().full([], 0.25), xs).0
    };
    compare(&f, &known, &[2, 2, 2]);
}

#[test]
fn a_loop_whose_step_is_computed_again() {
    let f = |w: V, xs: V| {
        let step = |state: V, x: V| {
            let part = |(state, x): (V, V)| (w.matmul(state) + x).tanh();
            let inner = |state: V, x: V| (checkpoint(part, (state, x)), x.sum());
            let (state, _) = checkpoint(|(state, x)| scan(inner, state, x), (state, x * 1.0));
            (state, state.square().sum() * x.sum())
        };
        let (last, all) = scan(step, w.tape().full([2], 0.5), xs);
        all + last.sum()
    };
    // A part reads no variable from outside but parameters.
    let tape = Tape::new();
    let w = tape.leaf(&points([2, 2], 1));
    let xs = tape.leaf(&points([3, 2, 2], 2));
    let panic = caught(|| f(w, xs));
    assert!(
        panic.message.starts_with("checkpoint: the part reads"),
        "{}",
        panic.message
    );
    let f = |w: V, xs: V| {
        let part = |(w, state, x): (V, V, V)| (w.matmul(state) + x).tanh();
        let step = |state: V, x: V| {
            let (state, _) = checkpoint(
                |(w, state, x): (V, V, V)| {
                    scan(
                        |state: V, x: V| (checkpoint(part, (w, state, x)), x.sum()),
                        state,
                        x,
                    )
                },
                (w, state, x * 1.0),
            );
            (state, state.square().sum() * x.sum())
        };
        let (last, all) = scan(step, w.tape().full([2], 0.5), xs);
        all + last.sum()
    };
    compare(&f, &written_out, &[3, 2, 2]);
    let outside = |w: V, xs: V| checkpoint(|[w, xs]: [V; 2]| looped(w, xs), [w, xs]);
    compare(&outside, &written_out, &[3, 2, 2]);
}

#[test]
fn parameters_reach_loops_within_loops_and_parts() {
    let model = Linear::<f64>::new(2, 2, &mut rng(1));
    let tape = Tape::new();
    let xs = tape.leaf(&points([3, 2, 2], 2));
    let step = |h: V, x: V| (checkpoint(|(h, x)| model.forward(h + x).tanh(), (h, x)), x);
    let outer = |h: V, x: V| (scan(step, h, x).0, x.sum());
    let (last, _) = scan(outer, tape.full([2], 0.0), xs);
    let known = (0..6).fold(tape.full([2], 0.0), |h, t| {
        model.forward(h + xs.at(0, t / 2).at(0, t % 2)).tanh()
    });
    let weight = model.weight.on(*tape);
    close("value", &last.value(), &known.value()).unwrap();
    let [a, b] = [last, known].map(|h| h.sum().gradient(weight));
    close("gradient", &a.value(), &b.value()).unwrap();
    let [a, b] = [a, b].map(|g| g.square().sum().gradient(weight));
    close("second", &a.value(), &b.value()).unwrap();
}

#[test]
fn loops_within_loops_in_a_program() {
    let record = |f: fn(V, V) -> V| {
        let inputs = [
            ProgramInput::<f64>::new([2, 2]),
            ProgramInput::new([3, 2, 2]),
        ];
        Program::record(inputs, move |[w, xs]| {
            let y = f(w, xs).sum();
            let [dw, dx] = y.gradients([w, xs]);
            [y, dw, dx, dw.square().sum().gradient(xs)]
        })
    };
    let (program, known) = (record(looped).unwrap(), record(written_out).unwrap());
    let (w, xs) = (points([2, 2], 7), points([3, 2, 2], 8));
    let (found, known) = (
        program.run([&w, &xs]).unwrap(),
        known.run([&w, &xs]).unwrap(),
    );
    for (found, known) in found.iter().zip(&known) {
        close("program", found, known).unwrap();
    }
}

#[test]
fn rules_and_hooks_within_a_step() {
    // A rule and a hook that hold variables: of outside, and of the step.
    let cubed = |w: V, x: V| {
        let scale = w.at(0, 0).at(0, 0);
        custom_vjp(
            |x: V| x * x * x,
            move |x: V, _, ct: V| ct * x * x * 3.0 + scale * ct,
            x,
        )
    };
    let known = |w: V, xs: V| {
        let mut h = w.tape().full([2], 0.5);
        for t in 0..xs.shape()[0] {
            let x = xs.at(0, t as isize);
            let y = x * 2.0;
            let hooked = h.on_cotangent(move |ct| ct * y.sin() * w.at(0, 1) + ct);
            h = (w.matmul(hooked) + cubed(w, x) + y).tanh();
        }
        h
    };
    let step = |w: V| {
        move |h: V, x: V| {
            let y = x * 2.0;
            let hooked = h.on_cotangent(move |ct| ct * y.sin() * w.at(0, 1) + ct);
            let h = (w.matmul(hooked) + cubed(w, x) + y).tanh();
            (h, x)
        }
    };
    let f = |w: V, xs: V| scan(step(w), w.tape().full([2], 0.5), xs).0;
    compare(&f, &known, &[3, 2]);
    // The same a loop deeper.
    let f = |w: V, xs: V| {
        let outer = |h: V, x: V| (scan(step(w), h, x.unsqueeze(0)).0, x);
        scan(outer, w.tape().full([2], 0.5), xs).0
    };
    compare(&f, &known, &[3, 2]);
}

#[test]
fn a_rule_reads_the_step_that_it_was_made_in() {
    let step = |w: V, h: V, x: V| {
        let y = (w.matmul(h) + x).sin();
        let rule = move |z: V, _: V, ct: V| ct * y * z.cos();
        custom_vjp(|z: V| z.sin(), rule, w.matmul(h) * 0.5 + x)
    };
    let known = |w: V, xs: V| {
        (0..xs.shape()[0]).fold(w.tape().full([2], 0.5), |h, t| {
            step(w, h, xs.at(0, t as isize))
        })
    };
    let f = |w: V, xs: V| {
        let outer = |h: V, x: V| {
            let inner = |h: V, x: V| (step(w, h, x), x);
            (scan(inner, h, x.unsqueeze(0)).0, x)
        };
        scan(outer, w.tape().full([2], 0.5), xs).0
    };
    compare(&f, &known, &[3, 2]);
    // In a part that is computed again too.
    let f = |w: V, xs: V| {
        let part = |[w, h, x]: [V; 3]| step(w, h, x);
        let inner = |h: V, x: V| (checkpoint(part, [w, h, x]), x);
        scan(inner, w.tape().full([2], 0.5), xs).0
    };
    compare(&f, &known, &[3, 2]);
}

#[test]
fn a_hook_of_an_inner_loop_reads_the_outer_step() {
    let known = |w: V, xs: V| {
        let mut h = w.tape().full([], 0.5);
        for i in 0..2 {
            let y = xs.at(0, i).sum().cos() * h;
            for j in 0..2 {
                h = (h.on_cotangent(move |ct| ct * y) * w.sum() + xs.at(0, i).at(0, j)).sin();
            }
        }
        h
    };
    let f = |w: V, xs: V| {
        let outer = |h: V, x: V| {
            let y = x.sum().cos() * h;
            let inner =
                move |h: V, x: V| ((h.on_cotangent(move |ct| ct * y) * w.sum() + x).sin(), x);
            (scan(inner, h, x).0, h)
        };
        scan(outer, w.tape().full([], 0.5), xs).0
    };
    compare(&f, &known, &[2, 2]);
}

#[test]
fn a_hook_is_called_once_for_all_steps() {
    let tape = Tape::new();
    let xs = tape.leaf(&points([5, 2], 2));
    let calls = Rc::new(Cell::new(0));
    let counted = calls.clone();
    let step = |h: V, x: V| {
        let counted = counted.clone();
        let clipped = (h * x).on_cotangent(move |ct| {
            counted.set(counted.get() + 1);
            ct.clamp(-0.5, 0.5)
        });
        (clipped, x)
    };
    let dx = scan(step, tape.full([2], 1.0), xs).0.sum().gradient(xs);
    assert_eq!(calls.get(), 1);
    let known = (0..5).fold(tape.full([2], 1.0), |h, t| {
        (h * xs.at(0, t)).on_cotangent(|ct| ct.clamp(-0.5, 0.5))
    });
    close("clipped", &dx.value(), &known.sum().gradient(xs).value()).unwrap();
}

#[test]
fn operations_of_closures_within_a_step() {
    let root = |x: V| {
        custom_operation(
            "root",
            x.shape(),
            |x: Tensor<f64>| Ok(x.map(f64::sqrt)),
            |_, y: V, ct: V| ct / (y * 2.0),
            x,
        )
    };
    let known = |w: V, xs: V| {
        (0..3).fold(w.tape().full([2], 0.5), |h, t| {
            root((w.matmul(h) + xs.at(0, t)).square() + 1.0)
        })
    };
    let f = |w: V, xs: V| {
        let step = |h: V, x: V| (root((w.matmul(h) + x).square() + 1.0), x);
        let outer = |h: V, x: V| (scan(step, h, x.unsqueeze(0)).0, x);
        scan(outer, w.tape().full([2], 0.5), xs).0
    };
    compare(&f, &known, &[3, 2]);
}

#[test]
fn the_tape_does_not_grow_with_either_sequence() {
    let nodes = |outer: usize, inner: usize| {
        let tape = Tape::new();
        let w = tape.leaf(&points([2, 2], 1));
        let xs = tape.leaf(&points([outer, inner, 2], 2));
        let dw = looped(w, xs).sum().gradient(w);
        assert!(dw.value().iter().all(f64::is_finite));
        tape.len()
    };
    assert_eq!(nodes(20, 30), nodes(2, 3));
}

#[test]
fn loops_within_loops_of_no_steps() {
    let tape = Tape::new();
    let w = tape.leaf(&points([2, 2], 1));
    for shape in [[0, 2, 2], [2, 0, 2]] {
        let xs = tape.leaf(&Tensor::zeros(shape));
        let (f, known) = (looped(w, xs), tape.full([2], 0.5).sum());
        close(
            "value",
            &f.value(),
            &(known + tape.full([shape[0]], 0.0)).value(),
        )
        .unwrap();
        let [dx] = f.sum().vjp(tape.number(1.0), [xs]);
        assert!(dx.is_none_or(|dx| dx.value() == Tensor::zeros(shape)));
    }
}

#[test]
fn what_has_no_value_in_a_step_is_said() {
    let tape = Tape::new();
    let xs = tape.leaf(&points([2, 2], 1));
    let step = |h: V, x: V| {
        let root = implicit_root(|x: Tensor<f64>| Ok(x), |z, x| z - x, x).unwrap();
        (h + root, x)
    };
    let panic = caught(|| scan(step, tape.full([2], 0.0), xs));
    assert!(
        panic
            .message
            .starts_with("scan: the function stands for all steps"),
        "{}",
        panic.message
    );
}
