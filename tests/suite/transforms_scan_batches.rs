//! Loops of functions that are written for one example, against the same loops written out.

use super::transforms::close;
use wengert::transform::{gradient, hvp, jacobian, scan, vmap};
use wengert::{Layer, Linear, Shape, Tape, Tensor, Var, rng};

type V = Var<f64>;

fn points(shape: impl Into<Shape>, seed: u64) -> Tensor<f64> {
    Tensor::uniform(shape, -1.0, 1.0, &mut rng(seed))
}

/// Everything that a loop reads.
#[derive(Clone, Copy)]
struct Read {
    w: V,
    start: V,
    xs: V,
    shared: V,
}

/// A state of two parts of different shapes, two sequences, a matrix from outside, two results.
fn looped(of: Read) -> V {
    let step = |(a, b): (V, V), (x, s): (V, V)| {
        let next = (of.w.matmul(a) + x * s.unsqueeze(0)).tanh();
        let b = b * 0.5 + next.unsqueeze(0) * s;
        ((next, b), [b.sum(), next.square().sum() * x.sum()])
    };
    let b = of.w.tape().full([3, 2], 0.25) * of.start.sum();
    let ((a, b), [u, v]) = scan(step, (of.start, b), (of.xs, of.shared));
    a.sum() * b.square().sum() + (u * v).sum()
}

fn written_out(of: Read) -> V {
    let (mut a, mut b) = (of.start, of.w.tape().full([3, 2], 0.25) * of.start.sum());
    let mut sum = None;
    for t in 0..of.xs.shape()[0] as isize {
        let (x, s) = (of.xs.at(0, t), of.shared.at(0, t));
        a = (of.w.matmul(a) + x * s.unsqueeze(0)).tanh();
        b = b * 0.5 + a.unsqueeze(0) * s;
        let more = b.sum() * a.square().sum() * x.sum();
        sum = Some(sum.map_or(more, |sum: V| sum + more));
    }
    let product = a.sum() * b.square().sum();
    sum.map_or(product, |sum| product + sum)
}

/// Which inputs differ from example to example does not matter.
#[test]
fn any_input_may_differ_from_example_to_example() {
    for mask in 1..16_u32 {
        let tape = Tape::new();
        let shapes: [&[usize]; 4] = [&[2, 2], &[2], &[4, 2], &[4]];
        let leaves: [V; 4] = std::array::from_fn(|k| {
            let mut shape = shapes[k].to_vec();
            if mask >> k & 1 == 1 {
                shape.insert(0, 3);
            }
            tape.leaf(&points(&shape[..], k as u64 + 10))
        });
        let axes = [0, 1, 2, 3].map(|k| (mask >> k & 1 == 1).then_some(0));
        let over = wengert::transform::Vmap::new().inputs(axes);
        let read = |[w, start, xs, shared]: [V; 4]| Read {
            w,
            start,
            xs,
            shared,
        };
        for (what, of) in [
            (
                "value",
                &(|f: fn(Read) -> V, all| f(read(all))) as &dyn Fn(fn(Read) -> V, [V; 4]) -> V,
            ),
            ("gradients", &|f, all| {
                let slopes = gradient(|all| f(read(all)), all);
                Var::concat(&slopes.map(|slope| slope.flatten()), 0)
            }),
            ("hvp", &|f, all| {
                let along = all.map(|v| v * 0.5 + 0.25);
                let curved = hvp(|all| f(read(all)), all, along);
                Var::concat(&curved.map(|slope| slope.flatten()), 0)
            }),
        ] {
            let [found, known] = [looped as fn(Read) -> V, written_out]
                .map(|f| over.apply(|all| of(f, all), leaves));
            close(&format!("{what}, {mask}"), &found.value(), &known.value()).unwrap();
            close(what, &found.reference_value(), &known.value()).unwrap();
            // By what all examples share, and by each.
            let [found, known] =
                [found, known].map(|y| y.square().sum().gradients(leaves).map(|g| g.value()));
            for (found, known) in found.iter().zip(&known) {
                close(&format!("gradient of {what}, {mask}"), found, known).unwrap();
            }
        }
    }
}

#[test]
fn batches_of_batches_and_jacobians() {
    let tape = Tape::new();
    let read = |xs: V| Read {
        w: tape.constant(&points([2, 2], 1)),
        start: tape.constant(&points([2], 2)),
        xs,
        shared: tape.constant(&points([4], 3)),
    };
    let xs = tape.leaf(&points([3, 2, 4, 2], 4));
    let [found, known] = [looped as fn(Read) -> V, written_out].map(|f| {
        let slope = |xs| gradient(|xs| f(read(xs)), xs);
        let each = vmap(|xs| vmap(slope, xs), xs);
        let rows = vmap(|xs| jacobian(|xs| vmap(|xs| f(read(xs)), xs), xs), xs);
        tape.run((each, rows))
    });
    close("gradients", &found.0, &known.0).unwrap();
    close("jacobians", &found.1, &known.1).unwrap();
}

/// One loop serves all examples, forwards and backwards.
#[test]
fn the_tape_does_not_grow_with_the_batch() {
    let model = Linear::<f64>::new(3, 3, &mut rng(1));
    let nodes = |size: usize| {
        let tape = Tape::new();
        let xs = tape.leaf(&points([size, 5, 3], 2));
        let start = tape.full([3], 0.0);
        let weight = model.weight.on(*tape);
        let last = |xs: V| scan(|h: V, x| (model.forward(h + x).tanh(), h), start, xs).0;
        let each = vmap(|xs| last(xs).sum().gradient(weight), xs);
        assert_eq!(each.shape(), Shape::from([size, 3, 3]));
        assert!(each.value().iter().any(|x| x != 0.0) || size == 0);
        tape.len()
    };
    assert_eq!(nodes(50), nodes(2));
    nodes(0);
}

#[test]
fn no_steps_leave_the_state_of_each_example() {
    let tape = Tape::new();
    let start = tape.leaf(&points([3, 2], 1));
    let xs = tape.leaf(&Tensor::<f64>::zeros([3, 0, 2]));
    let f = |(start, xs): (V, V)| {
        let (last, all) = scan(|h: V, x: V| (h + x, h.sum()), start, xs);
        (last * 2.0, all)
    };
    let (last, all) = vmap(f, (start, xs));
    assert_eq!(last.value(), (start * 2.0).value());
    assert_eq!(all.shape(), Shape::from([3, 0]));
    assert_eq!(
        last.sum().gradient(start).value(),
        Tensor::full([3, 2], 2.0)
    );
}

/// Each example draws its own numbers at each step, the same ones forwards and backwards.
#[test]
fn examples_draw_their_own_numbers_at_each_step() {
    let tape = Tape::new();
    let start = tape.leaf(&points([3, 2], 1));
    let xs = tape.constant(&Tensor::<f64>::ones([4]));
    let last = |start: V| {
        let step = |h: V, x: V| {
            let h = h * x * h.tape().uniform([2], 0.5, 1.5);
            (h, h)
        };
        scan(step, start, xs)
    };
    let product = vmap(|start| last(start).1, start);
    let slope = vmap(|start| gradient(|start| last(start).0.sum(), start), start);
    let (product, slope, start) = (product.value(), slope.value(), start.value());
    // Ratios of one state to the next are the numbers that were drawn.
    let mut drawn = Vec::new();
    for example in 0..3 {
        for part in 0..2 {
            let mut before = start[[example, part]];
            for t in 0..4 {
                drawn.push(product[[example, t, part]] / before);
                before = product[[example, t, part]];
            }
        }
    }
    assert!(drawn.iter().all(|u| (0.5..1.5).contains(u)));
    drawn.sort_by(f64::total_cmp);
    assert!(drawn.windows(2).all(|pair| pair[1] - pair[0] > 1e-12));
    assert!(slope.iter().all(|s| (0.0625..5.1).contains(&s)));
    // In one run: the derivative is the product of the numbers.
    let tape = Tape::new();
    let start = tape.leaf(&start);
    let xs = tape.constant(&Tensor::<f64>::ones([4]));
    let both = vmap(
        |start| {
            let step = |h: V, x: V| (h * x * h.tape().uniform([2], 0.5, 1.5), x);
            let (last, _) = scan(step, start, xs);
            (last.sum().gradient(start), last / start)
        },
        start,
    );
    let (slope, product) = tape.run(both);
    close("slope", &slope, &product).unwrap();
}

/// A sequence of integers has no derivative, and a step need not have a result.
#[test]
fn integers_and_no_results() {
    let tape = Tape::new();
    let table = tape.leaf(&points([5, 2], 1));
    let start = tape.leaf(&points([2], 2));
    let xs = tape.constant(&Tensor::from([[0, 3, 1], [4, 4, 2]]));
    let step = |h: V, i: Var<i64>| {
        let next = (h * 0.5 + table.index_select(0, i.unsqueeze(0)).squeeze(0)).tanh();
        (next, [] as [V; 0])
    };
    let looped = |start: V, xs: Var<i64>| scan(step, start, xs).0.square().sum();
    let written_out = |start: V, xs: Var<i64>| {
        let last = (0..3).fold(start, |h, t| step(h, xs.at(0, t)).0);
        last.square().sum()
    };
    let each = |f: &dyn Fn(V, Var<i64>) -> V| {
        let slopes = |xs: Var<i64>| f(start, xs).gradients([table, start]);
        tape.run((vmap(|xs| f(start, xs), xs), vmap(slopes, xs)))
    };
    let (found, known) = (each(&looped), each(&written_out));
    close("value", &found.0, &known.0).unwrap();
    for (found, known) in found.1.iter().zip(&known.1) {
        close("gradient", found, known).unwrap();
    }
}

/// A step may give back what it was given: the state, what is outside, a number.
#[test]
fn what_a_step_makes_need_not_be_computed() {
    let tape = Tape::new();
    let (start, w) = (tape.leaf(&points([3, 2], 1)), tape.leaf(&points([2], 2)));
    let xs = tape.leaf(&points([3, 4, 2], 3));
    let kept = |start: V, xs: V| scan(|h: V, _: V| (h, [] as [V; 0]), start, xs).0;
    assert_eq!(kept(start, xs.at(0, 0)).value(), start.value());
    let mapped = |(start, xs): (V, V)| kept(start, xs);
    assert_eq!(vmap(mapped, (start, xs)).value(), start.value());
    let slope = |(start, xs): (V, V)| gradient(|start| kept(start, xs).sum(), start);
    assert_eq!(vmap(slope, (start, xs)).value(), Tensor::ones([3, 2]));
    let given = |(start, xs): (V, V)| {
        let one = start.tape().full([], 1.5);
        scan(|h: V, x: V| (h + x * 0.0, [w.sum(), one]), start, xs).1[0] * w.sum()
    };
    let all = vmap(given, (start, xs));
    let sum = w.value().iter().sum::<f64>();
    close("outside", &all.value(), &Tensor::full([3, 4], sum * sum)).unwrap();
    let known = Tensor::full([2], 24.0 * sum);
    close("by it", &all.sum().gradient(w).value(), &known).unwrap();
}
