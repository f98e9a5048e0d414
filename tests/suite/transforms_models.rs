//! Transforms of models, through their parameters.

use super::transforms::close;
use wengert::transform::{Parameters, Vmap, gradient, hvp, jvp, value_and_gradient};
use wengert::{Layer, Linear, Param, Tape, Tensor, Var, loss, rng, value_and_grad};

#[derive(Clone, Debug)]
pub struct Mlp {
    hidden: Linear<f64>,
    output: Linear<f64>,
}
wengert::module!(Mlp { hidden, output });

impl Layer<f64> for Mlp {
    fn forward(&self, x: Var<f64>) -> Var<f64> {
        self.output.forward(self.hidden.forward(x).tanh())
    }
}

pub fn mlp() -> Mlp {
    let rng = &mut rng(4);
    Mlp {
        hidden: Linear::new(3, 5, rng),
        output: Linear::new(5, 2, rng),
    }
}

pub fn parameters(model: &Mlp) -> [&Param<f64>; 4] {
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
