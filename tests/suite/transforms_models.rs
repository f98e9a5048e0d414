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
