//! Gradients of each example, and what is made of them without forming them.

use super::panic::caught;
use super::transforms::close;
use super::transforms_models::{mlp, parameters};
use wengert::transform::{ExampleGradients, Parameters, per_example_gradients};
use wengert::{Any, AnyTensor, Layer, Linear, Tape, Tensor, Var, loss, rng, value_and_grad};

/// Checks gradients of a loss that uses each weight once, and of one that uses it twice, so that they are sums of two products.
fn each_way(check: impl Fn(Var<f64>, ExampleGradients)) {
    let model = mlp();
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::uniform([6, 3], -1.0, 1.0, &mut rng(1)));
    let once = |x: Var<f64>| model.forward(x.unsqueeze(0)).square().sum();
    let twice = |x: Var<f64>| once(x) * (once(x * 0.5) + 1.0);
    for loss in [&once as &dyn Fn(Var<f64>) -> Var<f64>, &twice] {
        check(x, per_example_gradients(&model, loss, x).1);
    }
}

#[test]
fn gradients_of_examples_are_those_of_batches_of_one() {
    let model = mlp();
    let x = Tensor::uniform([6, 3], -1.0, 1.0, &mut rng(1));
    let y = Tensor::from([0, 1, 1, 0, 1, 0]);
    let tape = Tape::new();
    let batch = (tape.constant(&x), tape.constant(&y));
    let one = |(x, y): (Var<f64>, Var<i64>)| {
        loss::cross_entropy(model.forward(x.unsqueeze(0)), y.unsqueeze(0))
    };
    let (losses, gradients) = tape.run(per_example_gradients(&model, one, batch));
    for i in 0..6 {
        let (xi, yi) = (x.slice(0, i..i + 1), y.slice(0, i..i + 1));
        let step = value_and_grad(&model, |model, tape| {
            loss::cross_entropy(model.forward(tape.constant(&xi)), tape.constant(&yi))
        });
        assert!((losses[[i as usize]] - step.value()).abs() < 1e-14);
        for p in parameters(&model) {
            let each = gradients.get(p).unwrap().row(i as usize);
            close("example", &each, step.gradient(p).unwrap()).unwrap();
        }
    }
    let whole = gradients.whole();
    assert!(whole.iter().all(|(_, g)| matches!(g, Any::F64(_))));
}

#[test]
fn norms_of_gradients_of_examples_are_those_of_the_gradients() {
    each_way(|x, gradients| {
        let norms: Var<f64> = gradients.squared_norms();
        let (norms, gradients) = x.tape().run((norms, gradients.whole()));
        let of = |example: usize, g: &AnyTensor| match g {
            Any::F64(g) => g.row(example).iter().map(|x| x * x).sum::<f64>(),
            _ => panic!("of another type"),
        };
        for i in 0..6 {
            let expected: f64 = gradients.iter().map(|(_, g)| of(i, g)).sum();
            let norm = norms[[i]];
            assert!(
                (norm - expected).abs() < 1e-12 * expected,
                "{norm}, {expected}"
            );
        }
    });
    let tape = Tape::new();
    // A product of an example's own elements is none of two vectors.
    let (v, w) = (
        tape.constant(&Tensor::from([[1.0, 2.0]])),
        tape.constant(&Tensor::from([[3.0, 5.0]])),
    );
    let one = Parameters::on(&Linear::<f64>::new(1, 1, &mut rng(0)), *tape);
    let products = ExampleGradients::of(one.map_each(|_, _| (v * w).erase()));
    assert_eq!(
        products.squared_norms::<f64>().value(),
        Tensor::from([2.0 * (9.0 + 100.0)])
    );
}

#[test]
fn weighted_sums_are_those_of_the_gradients() {
    each_way(|x, gradients| {
        let tape = x.tape();
        let weights = tape.leaf(&Tensor::uniform([6], -1.0, 1.0, &mut rng(2)));
        let sums = gradients.weighted_sum(weights);
        let plain = gradients.whole().map_each(|_, g| {
            let g = g.typed::<f64>();
            let sizes: Vec<usize> = (0..g.rank()).map(|k| if k == 0 { 6 } else { 1 }).collect();
            (weights.reshape(&sizes[..]) * g).sum_axes(0).erase()
        });
        for ((name, sum), (_, plain)) in sums.iter().zip(plain.iter()) {
            let (sum, plain) = (sum.typed::<f64>(), plain.typed::<f64>());
            close(name, &sum.value(), &plain.value()).unwrap();
            let seed = tape.constant(&Tensor::uniform(sum.shape(), -1.0, 1.0, &mut rng(3)));
            let back = |y: Var<f64>| (y * seed).sum().gradients([x, weights]);
            let (found, expected) = tape.run((back(sum), back(plain)));
            for (found, expected) in found.iter().zip(&expected) {
                close(name, found, expected).unwrap();
            }
        }
    });
}

#[test]
fn no_product_is_formed_that_was_not_asked_for() {
    let rng = &mut rng(4);
    let model = Linear::<f32>::new(300, 200, rng);
    let tape = Tape::new();
    let x = tape.constant(&Tensor::uniform([16, 300], -1.0, 1.0, rng));
    let loss = |x: Var| model.forward(x.unsqueeze(0)).square().sum();
    let (_, gradients) = per_example_gradients(&model, loss, x);
    let weights = 300 * 200 * 4;
    let plan = tape.explain(gradients.clone());
    assert!(plan.bytes_moved() < 2 * weights, "{plan}");
    let plan = tape.explain(gradients.squared_norms::<f32>());
    assert!(plan.bytes_moved() < 2 * weights, "{plan}");
    assert!(plan.peak_bytes() < weights / 2, "{plan}");
    let clipped = gradients.weighted_sum(1.0 / gradients.squared_norms::<f32>().sqrt());
    let squares = gradients.squares().weighted_sum(tape.full([16], 1.0f32));
    for sums in [clipped, squares] {
        let plan = tape.explain(sums);
        assert!(plan.peak_bytes() < 2 * weights, "{plan}");
    }
}

/// Each example's gradient as a row of all its numbers.
fn rows(gradients: &ExampleGradients) -> Var<f64> {
    let whole = gradients.whole();
    let each = whole.iter().map(|(_, g)| {
        let g = g.typed::<f64>();
        let count = g.shape()[0];
        g.reshape([count, g.shape().size() / count])
    });
    Var::concat(&each.collect::<Vec<_>>(), 1)
}

/// The values agree, and so do the gradients with respect to the examples.
fn agree(name: &str, x: Var<f64>, found: Var<f64>, plain: Var<f64>) {
    let tape = x.tape();
    close(name, &found.value(), &plain.value()).unwrap();
    let seed = tape.constant(&Tensor::uniform(found.shape(), -1.0, 1.0, &mut rng(3)));
    let back = |y: Var<f64>| (y * seed).sum().gradient(x);
    let (found, plain) = tape.run((back(found), back(plain)));
    close(name, &found, &plain).unwrap();
}

#[test]
fn inner_products_are_those_of_the_gradients() {
    each_way(|x, gradients| {
        let tape = x.tape();
        let mut rng = rng(2);
        let direction = gradients.whole().map_each(|_, g| {
            tape.leaf(&Tensor::<f64>::uniform(
                &g.shape()[1..],
                -1.0,
                1.0,
                &mut rng,
            ))
            .erase()
        });
        let parts: Vec<Var<f64>> = direction.iter().map(|(_, d)| d.typed()).collect();
        let along: Vec<Var<f64>> = parts.iter().map(|d| d.flatten()).collect();
        let plain = rows(&gradients).matmul(Var::concat(&along, 0));
        let found = gradients.inner_products(&direction);
        agree("inner_products", x, found, plain);
        for d in parts {
            let [found, plain] = [found, plain].map(|y| y.square().sum().gradient(d).value());
            close("by the direction", &found, &plain).unwrap();
        }
    });
}

#[test]
fn gram_matrices_are_those_of_the_gradients() {
    each_way(|x, gradients| {
        let rows = rows(&gradients);
        agree("gram", x, gradients.gram(), rows.matmul(rows.t()));
    });
}

#[test]
fn what_is_kept_of_gradients_is_all_of_them() {
    each_way(|x, gradients| {
        let (whole, kept) = x.tape().run((gradients.whole(), gradients));
        assert_eq!(kept.examples(), 6);
        let model = mlp();
        let names: Vec<String> = whole.iter().map(|(name, _)| name.to_owned()).collect();
        for i in 0..6 {
            let one = kept.example(i);
            assert!(one.iter().map(|(name, _)| name).eq(&names));
            for ((_, one), (_, whole)) in one.iter().zip(whole.iter()) {
                let (Any::F64(one), Any::F64(whole)) = (one, whole) else {
                    panic!("of another type");
                };
                assert_eq!(one, &whole.row(i));
            }
        }
        for ((_, formed), (_, whole)) in kept.whole().iter().zip(whole.iter()) {
            let (Any::F64(formed), Any::F64(whole)) = (formed, whole) else {
                panic!("of another type");
            };
            assert_eq!(formed, whole);
        }
        // Parameters are known by identity: those of another model are not among them.
        assert!(parameters(&model).iter().all(|p| kept.get(*p).is_none()));
        let message = caught(|| kept.example(6)).message;
        assert_eq!(message, "example: 6 is out of range for 6 examples");
    });
}

/// Factors of every kind: in any order of their axes, the same for all examples, without examples or without elements.
#[test]
fn products_of_any_shapes() {
    let shapes: [[&[usize]; 2]; 9] = [
        [&[4, 3, 1], &[4, 1, 2]],
        [&[4, 1, 3], &[4, 2, 1]],
        [&[4, 1, 3, 1, 2], &[4, 5, 1, 2, 1]],
        [&[1, 3, 1], &[4, 1, 2]],
        [&[4, 3, 1], &[1, 1, 2]],
        [&[4], &[4]],
        [&[4, 3], &[4, 1]],
        [&[0, 3, 1], &[0, 1, 2]],
        [&[4, 0, 1], &[4, 1, 2]],
    ];
    for [left, right] in shapes {
        let tape = Tape::new();
        let mut rng = rng(7);
        let mut leaf =
            |shape: &[usize]| tape.leaf(&Tensor::<f64>::uniform(shape, -1.0, 1.0, &mut rng));
        let (a, b, count) = (leaf(left), leaf(right), left[0].max(right[0]));
        let whole = a * b;
        let direction = leaf(&whole.shape()[1..]);
        let weights = leaf(&[count]);
        let model = Linear::<f64>::without_bias(1, 1, &mut wengert::rng(0));
        let one = Parameters::on(&model, *tape);
        let [products, direction] = [whole, direction].map(|v| one.map_each(|_, _| v.erase()));
        let products = ExampleGradients::of(products);
        let [sum, d] = [products.weighted_sum(weights), direction.clone()]
            .map(|p| p.get(&model.weight).unwrap());
        let axes: Vec<isize> = (1..whole.rank() as isize).collect();
        let sizes: Vec<usize> = left
            .iter()
            .enumerate()
            .map(|(k, _)| if k == 0 { count } else { 1 })
            .collect();
        let rows = whole.reshape([count, whole.shape()[1..].iter().product()]);
        let name = format!("{left:?} {right:?}");
        for (found, plain) in [
            (sum, (weights.reshape(&sizes[..]) * whole).sum_axes(0)),
            (
                products.inner_products(&direction),
                (whole * d).sum_axes(&axes),
            ),
            (products.gram(), rows.matmul(rows.t())),
            (products.squared_norms(), whole.square().sum_axes(&axes)),
            (
                products.squares().gram(),
                rows.square().matmul(rows.square().t()),
            ),
        ] {
            close(&name, &found.value(), &plain.value()).unwrap();
        }
        let kept = tape.run(products);
        let whole = whole.value();
        assert_eq!(kept.get(&model.weight).unwrap(), whole, "{name}");
        for i in 0..count {
            let one = kept.example(i);
            assert_eq!(one.get(&model.weight).unwrap(), &whole.row(i), "{name}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let models = [1, 2].map(|seed| Linear::<f32>::new(3, 2, &mut rng(seed)));
    let tape = Tape::new();
    let other = Parameters::on(&models[1], *tape);
    let x = tape.constant(&Tensor::uniform([4, 3], -1.0, 1.0, &mut rng(3)));
    let loss = |x: Var| models[0].forward(x.unsqueeze(0)).sum();
    let (_, gradients) = per_example_gradients(&models[0], loss, x);
    for (direction, expected) in [
        (
            &other,
            "inner_products: the direction is not of the same parameters",
        ),
        (
            &gradients.whole(),
            "inner_products: the direction of weight is f32 of shape [4, 2, 3], not f32 of shape [2, 3]",
        ),
    ] {
        let message = caught(|| gradients.inner_products::<f32>(direction)).message;
        assert_eq!(message, expected);
    }
    let weights = tape.constant(&Tensor::<f32>::ones([3]));
    for (weights, shape) in [(weights, "[3]"), (weights.unsqueeze(0), "[1, 3]")] {
        assert_eq!(
            caught(|| gradients.weighted_sum(weights)).message,
            format!("weighted_sum: the weights have shape {shape}, but must have shape [4]")
        );
    }
    for (operation, message) in [
        ("gram", caught(|| gradients.gram::<f64>()).message),
        (
            "squared_norms",
            caught(|| gradients.squared_norms::<f64>()).message,
        ),
    ] {
        assert_eq!(message, format!("{operation}: weight is f32, not f64"));
    }
    let of = |each: &dyn Fn(Var) -> Var| {
        let changed = gradients.whole().map_each(|name, g| match name {
            "bias" => each(g.typed::<f32>()).erase(),
            _ => g,
        });
        caught(|| ExampleGradients::of(changed.clone())).message
    };
    assert_eq!(
        of(&|g| g.slice(0, 0..3)),
        "ExampleGradients: bias has gradients of 3 examples, and others have 4"
    );
    assert_eq!(
        of(&|g| g.sum()),
        "ExampleGradients: bias is f32 of shape [], not gradients with an axis of examples"
    );
    let nothing = Parameters::on(&wengert::activation::Relu, *tape);
    let message = caught(|| ExampleGradients::of(nothing.clone())).message;
    assert_eq!(message, "ExampleGradients: there are no parameters");
}

/// A model without parameters has gradients of as many examples as there are.
#[test]
fn a_model_without_parameters() {
    let tape = Tape::new();
    let x = tape.constant(&Tensor::<f64>::ones([4, 3]));
    let (losses, gradients) =
        per_example_gradients(&wengert::activation::Relu, |x: Var<f64>| x.sum(), x);
    let (losses, kept) = tape.run((losses, gradients.clone()));
    assert_eq!(losses, Tensor::from([3.0; 4]));
    assert_eq!((kept.examples(), kept.bytes()), (4, 0));
    let message = caught(|| gradients.squared_norms::<f64>()).message;
    assert_eq!(message, "squared_norms: there are no parameters");
}
