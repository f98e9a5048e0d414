//! Loops of one recorded step against the same loop written out.

use super::panic::caught;
use super::transforms::close;
use wengert::transform::{gradient, hvp, jvp, scan, vmap};
use wengert::{Float, Layer, Linear, Tape, Tensor, Var, rng};

type V = Var<f64>;

/// A recurrent network of one layer, written out.
fn written_out(w: V, start: V, xs: V) -> (V, V) {
    let mut h = start;
    let mut all = Vec::new();
    for t in 0..xs.shape()[0] {
        h = (w.matmul(h) + xs.at(0, t as isize)).tanh();
        all.push(h.square().sum());
    }
    (h, Var::stack(&all, 0))
}

fn looped(w: V, start: V, xs: V) -> (V, V) {
    let step = |h: V, x: V| {
        let h = (w.matmul(h) + x).tanh();
        (h, h.square().sum())
    };
    scan(step, start, xs)
}

#[test]
fn a_loop_has_values_and_derivatives_of_the_same_loop_written_out() {
    let tape = Tape::new();
    let w = tape.leaf(&Tensor::<f64>::uniform([3, 3], -1.0, 1.0, &mut rng(1)));
    let start = tape.leaf(&Tensor::<f64>::uniform([3], -1.0, 1.0, &mut rng(2)));
    let xs = tape.leaf(&Tensor::<f64>::uniform([5, 3], -1.0, 1.0, &mut rng(3)));
    let v = tape.constant(&Tensor::<f64>::uniform([5, 3], -1.0, 1.0, &mut rng(4)));
    let (last, all) = looped(w, start, xs);
    let (known_last, known_all) = written_out(w, start, xs);
    close("last", &last.value(), &known_last.value()).unwrap();
    close("all", &all.value(), &known_all.value()).unwrap();
    let whole = |of: fn(V, V, V) -> (V, V)| {
        move |w: V, start: V, xs: V| {
            let (last, all) = of(w, start, xs);
            last.sum().sin() + all.square().sum()
        }
    };
    let (f, g) = (whole(looped), whole(written_out));
    let a = f(w, start, xs).gradients([w, start, xs]);
    let b = g(w, start, xs).gradients([w, start, xs]);
    for (a, b) in a.iter().zip(&b) {
        close("gradient", &a.value(), &b.value()).unwrap();
    }
    let (a, b) = (
        jvp(|xs| f(w, start, xs), xs, v).1,
        jvp(|xs| g(w, start, xs), xs, v).1,
    );
    close("jvp", &a.value(), &b.value()).unwrap();
    let (a, b) = (
        hvp(|xs| f(w, start, xs), xs, v),
        hvp(|xs| g(w, start, xs), xs, v),
    );
    close("hvp", &a.value(), &b.value()).unwrap();
    let mixed = |h: &dyn Fn(V, V, V) -> V| {
        gradient(|w| gradient(|xs| h(w, start, xs), xs).square().sum(), w)
    };
    close("mixed", &mixed(&f).value(), &mixed(&g).value()).unwrap();
    let batch = tape.leaf(&Tensor::<f64>::uniform([4, 5, 3], -1.0, 1.0, &mut rng(5)));
    let each = |h: &dyn Fn(V, V, V) -> V| vmap(|xs| gradient(|xs| h(w, start, xs), xs), batch);
    close("vmap", &each(&f).value(), &each(&g).value()).unwrap();
}

#[test]
fn the_tape_does_not_grow_with_the_sequence() {
    let model = Linear::<f64>::new(3, 3, &mut rng(1));
    let nodes = |steps: usize| {
        let tape = Tape::new();
        let xs = tape.leaf(&Tensor::<f64>::uniform(
            [steps, 2, 3],
            -1.0,
            1.0,
            &mut rng(3),
        ));
        let start = tape.full([2, 3], 0.0);
        let (last, _) = scan(|h: V, x| (model.forward(h + x).tanh(), h), start, xs);
        let weight = model.weight.on(*tape);
        let dw = last.sum().gradient(weight);
        let count = tape.len();
        let written_out =
            (0..steps).fold(start, |h, t| model.forward(h + xs.at(0, t as isize)).tanh());
        let known = written_out.sum().gradient(weight);
        close("weight", &dw.value(), &known.value()).unwrap();
        count
    };
    assert_eq!(nodes(50), nodes(2));
}

#[test]
fn no_steps_leave_the_state_as_it_was() {
    let tape = Tape::new();
    let start = tape.leaf(&Tensor::from([1.0, 2.0]));
    let none = tape.leaf(&Tensor::<f32>::zeros([0, 2]));
    let (last, all) = scan(|h: Var, x| (h + x, h.sum()), start, none);
    assert_eq!(last.value(), Tensor::from([1.0, 2.0]));
    assert_eq!(all.shape()[..], [0]);
    assert_eq!(last.sum().gradient(start).value(), Tensor::from([1.0, 1.0]));
}

#[test]
fn what_does_not_fit_is_said_at_the_line() {
    let tape = Tape::new();
    let start = tape.leaf(&Tensor::<f32>::zeros([2]));
    let xs = tape.leaf(&Tensor::<f32>::zeros([4, 2]));
    let line = line!() + 1;
    let panic = caught(|| scan(|h: Var, _x: Var| (h.sum(), h), start, xs));
    assert_eq!(
        panic.message,
        "scan: part 0 of the state has shape [2] before a step and [] after it"
    );
    assert_eq!((panic.file.as_str(), panic.line), (file!(), line));
    let loses_one = |h: Vec<Var>, x: Var| (vec![h[0]], x);
    let line = line!() + 1;
    let panic = caught(|| scan(loses_one, vec![start, start], xs));
    assert_eq!(
        panic.message,
        "scan: the state has 2 parts before a step and 1 after it"
    );
    assert_eq!((panic.file.as_str(), panic.line), (file!(), line));
    let panic = caught(|| scan(|h: Var, x: Var| (h, x.cast::<i64>()), start, xs));
    assert_eq!(
        panic.message,
        "scan: states and results must be of one floating-point type"
    );
    let panic = caught(|| scan(|h: Var, x: Var| (h * x.sum().value().item(), x), start, xs));
    assert!(
        panic
            .message
            .starts_with("scan: the function stands for all steps"),
        "{}",
        panic.message
    );
}

/// A step that reads numbers of other types than its state: a sequence and two variables from outside.
#[test]
fn what_a_step_reads_may_be_of_another_type() {
    fn check<T: Float, U: Float>(tolerance: f64) {
        let tape = Tape::new();
        let x = Tensor::from([0.5, -1.0, 0.25]);
        let xs = tape.leaf(&x.cast::<U>());
        let w = tape.leaf(&Tensor::from(0.5).cast::<T>());
        let v = tape.leaf(&Tensor::from(0.75).cast::<U>());
        let c = tape.constant(&Tensor::from(1.5).cast::<U>());
        let step = |s: Var<T>, x: Var<U>| {
            let read = (x * v + x.square() * c).cast::<T>();
            (s * w * read.cos() + read, s * read)
        };
        let start = tape.leaf(&Tensor::from(0.125).cast::<T>());
        let written_out = |xs: Var<U>| {
            (0..3).fold((start, w * T::ZERO), |(s, sum), t| {
                let (s, y) = step(s, xs.at(0, t));
                (s, sum + y)
            })
        };
        let (last, all) = scan(step, start, xs);
        let (expected, sum) = written_out(xs);
        let close = |a: Tensor<f64>, b: Tensor<f64>| {
            assert!(a.all_close(&b, tolerance, tolerance), "{a} {b}")
        };
        let [a, b] = [last * T::ONE + all.sum(), expected + sum].map(|y| y.tanh());
        close(a.value().cast(), b.value().cast());
        // First derivatives by all, second ones, and those forward.
        let wide = |y: Var<T>| {
            let (dw, dv, dx) = (y.gradient(w), y.gradient(v), y.gradient(xs));
            let total = dw.cast::<f64>() + dv.cast::<f64>() + dx.cast::<f64>().square().sum();
            let second = [
                total.gradient(w).cast::<f64>(),
                total.gradient(v).cast(),
                total.gradient(xs).cast::<f64>().sum(),
            ];
            [dw.cast::<f64>(), dv.cast(), dx.cast::<f64>().sum()]
                .into_iter()
                .chain(second)
                .collect::<Vec<_>>()
        };
        for (a, b) in wide(a).into_iter().zip(wide(b)) {
            close(a.value(), b.value());
        }
        let along = |f: &dyn Fn(Var<U>) -> Var<T>| jvp(f, xs, xs.square()).1;
        let a = along(&|xs| scan(step, start, xs).0);
        let b = along(&|xs| written_out(xs).0);
        close(a.value().cast(), b.value().cast());
        // A loop for each example of a batch.
        let batch = tape.leaf(&Tensor::from([[0.5, -1.0, 0.25], [0.125, 0.5, 1.0]]).cast::<U>());
        let a = vmap(
            |xs: Var<U>| gradient(|xs| scan(step, start, xs).0, xs),
            batch,
        );
        let b = vmap(|xs: Var<U>| gradient(|xs| written_out(xs).0, xs), batch);
        close(a.value().cast(), b.value().cast());
        let a = vmap(|xs: Var<U>| scan(step, start, xs).0, batch).sum();
        let b = vmap(|xs: Var<U>| written_out(xs).0, batch).sum();
        close(a.gradient(v).value().cast(), b.gradient(v).value().cast());
        close(
            a.gradient(batch).value().cast(),
            b.gradient(batch).value().cast(),
        );
    }
    check::<f64, f32>(1e-6);
    check::<f32, f64>(2e-6);
}
