//! Transforms of models, through their parameters.

use super::panic::caught;
use super::transforms::close;
use wengert::transform::{
    Parameters, Vmap, gradient, hvp, jvp, per_example_gradients, value_and_gradient,
};
use wengert::{Any, Layer, Linear, Param, Tape, Tensor, Var, loss, rng, value_and_grad};

#[derive(Clone, Debug)]
struct Mlp {
    hidden: Linear<f64>,
    output: Linear<f64>,
}
wengert::module!(Mlp { hidden, output });

impl Layer<f64> for Mlp {
    fn forward(&self, x: Var<f64>) -> Var<f64> {
        self.output.forward(self.hidden.forward(x).tanh())
    }
}

fn mlp() -> Mlp {
    let rng = &mut rng(4);
    Mlp {
        hidden: Linear::new(3, 5, rng),
        output: Linear::new(5, 2, rng),
    }
}

fn parameters(model: &Mlp) -> [&Param<f64>; 4] {
    let bias = |layer: &'static str, p: &Option<Param<f64>>| match p {
        Some(_) => (),
        None => panic!("{layer} has no bias"),
    };
    bias("hidden", &model.hidden.bias);
    bias("output", &model.output.bias);
    [
        &model.hidden.weight,
        model.hidden.bias.as_ref().expect("looked at"),
        &model.output.weight,
        model.output.bias.as_ref().expect("looked at"),
    ]
}

#[test]
fn gradients_of_a_function_of_parameters_are_those_of_the_model() {
    let model = mlp();
    let x = Tensor::uniform([6, 3], -1.0, 1.0, &mut rng(1));
    let y = Tensor::from([0, 1, 1, 0, 1, 0]);
    let step = value_and_grad(&model, |model, tape| {
        loss::cross_entropy(model.forward(tape.constant(&x)), tape.constant(&y))
    });
    let tape = Tape::new();
    let (x, y) = (tape.constant(&x), tape.constant(&y));
    let own = Parameters::on(&model, *tape);
    let f = |p: Parameters| p.bound(|| loss::cross_entropy(model.forward(x), y));
    let (value, gradients) = tape.run(value_and_gradient(f, own.clone()));
    assert_eq!(value.item(), step.value());
    for p in parameters(&model) {
        close(
            "of the model",
            gradients.get(p).unwrap(),
            step.gradient(p).unwrap(),
        )
        .unwrap();
    }
    let names: Vec<&str> = gradients.iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "hidden.weight",
            "hidden.bias",
            "output.weight",
            "output.bias"
        ]
    );
    // Afterwards the model has its own parameters again.
    let plain = loss::cross_entropy(model.forward(x), y);
    assert_eq!(
        plain
            .gradient(own.get(&model.hidden.weight).unwrap())
            .shape(),
        own.get(&model.hidden.weight).unwrap().shape()
    );
    // Products with the Hessian: reverse over reverse, forward over reverse.
    let v = own.map_each(|_, w| w.typed::<f64>().sin().erase());
    let a = hvp(f, own.clone(), v.clone());
    let (_, b) = jvp(|p| gradient(f, p), own, v);
    for p in parameters(&model) {
        close(
            "hvp",
            &a.get(p).unwrap().value(),
            &b.get(p).unwrap().value(),
        )
        .unwrap();
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
    assert!(gradients.iter().all(|(_, g)| matches!(g, Any::F64(_))));
}

#[test]
fn norms_of_gradients_of_examples_are_those_of_the_gradients() {
    let model = mlp();
    let x = Tensor::uniform([6, 3], -1.0, 1.0, &mut rng(1));
    let tape = Tape::new();
    let x = tape.constant(&x);
    let once = |x: Var<f64>| model.forward(x.unsqueeze(0)).square().sum();
    // Weights that are used twice have sums of two products as gradients.
    let twice = |x: Var<f64>| once(x) * (once(x * 0.5) + 1.0);
    for loss in [&once as &dyn Fn(Var<f64>) -> Var<f64>, &twice] {
        let (_, gradients) = per_example_gradients(&model, loss, x);
        let norms: Var<f64> = gradients.squared_norms();
        let (norms, gradients) = tape.run((norms, gradients));
        let of = |example: usize, g: &Tensor<f64>| g.row(example).iter().map(|x| x * x).sum();
        for i in 0..6 {
            let each = parameters(&model).map(|p| of(i, gradients.get(p).unwrap()));
            let expected: f64 = each.iter().sum();
            let norm = norms[[i]];
            assert!(
                (norm - expected).abs() < 1e-12 * expected,
                "{norm}, {expected}"
            );
        }
    }
    // A product of an example's own elements is none of two vectors.
    let (v, w) = (
        tape.constant(&Tensor::from([[1.0, 2.0]])),
        tape.constant(&Tensor::from([[3.0, 5.0]])),
    );
    let one = Parameters::on(&Linear::<f64>::new(1, 1, &mut rng(0)), *tape);
    let products = one.map_each(|_, _| (v * w).erase());
    assert_eq!(
        products.squared_norms::<f64>().value(),
        Tensor::from([2.0 * (9.0 + 100.0)])
    );
}

#[test]
fn weighted_sums_are_those_of_the_gradients() {
    let model = mlp();
    let x = Tensor::uniform([6, 3], -1.0, 1.0, &mut rng(1));
    let weights = Tensor::uniform([6], -1.0, 1.0, &mut rng(2));
    let tape = Tape::new();
    let (x, weights) = (tape.leaf(&x), tape.leaf(&weights));
    let once = |x: Var<f64>| model.forward(x.unsqueeze(0)).square().sum();
    // Weights that are used twice have sums of two products as gradients.
    let twice = |x: Var<f64>| once(x) * (once(x * 0.5) + 1.0);
    for loss in [&once as &dyn Fn(Var<f64>) -> Var<f64>, &twice] {
        let (_, gradients) = per_example_gradients(&model, loss, x);
        let sums = gradients.weighted_sum(weights);
        let plain = gradients.map_each(|_, g| {
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
    }
}

/// Factors of every kind: in any order of their axes, the same for all examples, without examples or without elements.
#[test]
fn weighted_sums_of_products_of_any_shapes() {
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
        let weights = leaf(&[count]);
        let one = Parameters::on(&Linear::<f64>::new(1, 1, &mut wengert::rng(0)), *tape);
        let products = one.map_each(|_, _| (a * b).erase());
        let sums = products.weighted_sum(weights);
        let sizes: Vec<usize> = left
            .iter()
            .enumerate()
            .map(|(k, _)| if k == 0 { count } else { 1 })
            .collect();
        let plain = (weights.reshape(&sizes[..]) * (a * b)).sum_axes(0).value();
        for (name, sum) in sums.iter() {
            close(name, &sum.typed::<f64>().value(), &plain).unwrap();
        }
    }
}

#[test]
fn norms_form_no_product() {
    let rng = &mut rng(4);
    let model = Linear::<f32>::new(300, 200, rng);
    let tape = Tape::new();
    let x = tape.constant(&Tensor::uniform([16, 300], -1.0, 1.0, rng));
    let loss = |x: Var| model.forward(x.unsqueeze(0)).square().sum();
    let (_, gradients) = per_example_gradients(&model, loss, x);
    let plan = tape.explain(gradients.squared_norms::<f32>());
    let weights = 300 * 200 * 4;
    assert!(plan.bytes_moved() < 2 * weights, "{plan}");
    assert!(plan.peak_bytes() < weights / 2, "{plan}");
    let clipped = gradients.weighted_sum(1.0 / gradients.squared_norms::<f32>().sqrt());
    let plan = tape.explain(clipped);
    assert!(plan.peak_bytes() < 2 * weights, "{plan}");
}

#[test]
fn norms_name_what_has_none() {
    let model = Linear::<f32>::new(3, 2, &mut rng(4));
    let tape = Tape::new();
    let parameters = Parameters::on(&model, *tape);
    let message = caught(|| parameters.squared_norms::<f64>()).message;
    assert_eq!(
        message,
        "squared_norms: weight is f32 of shape [2, 3], not f64 with an axis of examples"
    );
    let weights = tape.constant(&Tensor::<f32>::ones([4]));
    for (weights, expected) in [
        (
            weights.unsqueeze(0),
            "weighted_sum: the weights have shape [1, 4], but must have one axis",
        ),
        (
            weights,
            "weighted_sum: weight has gradients of 2 examples, and there are 4 weights",
        ),
    ] {
        assert_eq!(
            caught(|| parameters.weighted_sum(weights)).message,
            expected
        );
    }
}

#[test]
fn an_ensemble_is_a_batch_of_parameters() {
    let (a, b) = (
        mlp(),
        Mlp {
            hidden: Linear::new(3, 5, &mut rng(8)),
            output: Linear::new(5, 2, &mut rng(9)),
        },
    );
    let x = Tensor::uniform([6, 3], -1.0, 1.0, &mut rng(1));
    let tape = Tape::new();
    let x = tape.constant(&x);
    let both = [Parameters::on(&a, *tape), Parameters::on(&b, *tape)];
    let others: Vec<Var<f64>> = both[1].iter().map(|(_, v)| v.typed()).collect();
    let mut next = others.into_iter();
    let stacked =
        both[0].map_each(|_, v| Var::stack(&[v.typed(), next.next().unwrap()], 0).erase());
    let y = Vmap::new()
        .inputs(vec![Some(0); 4])
        .apply(|p: Parameters| p.bound(|| a.forward(x)), stacked);
    close("first", &y.at(0, 0).value(), &a.forward(x).value()).unwrap();
    close("second", &y.at(0, 1).value(), &b.forward(x).value()).unwrap();
}
