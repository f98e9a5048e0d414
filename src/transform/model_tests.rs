//! Steps over models: which parameters get which gradients, and where the memory goes.

use crate::tape::Tape;
use crate::{
    Linear, Module, Param, Step, Tensor, Var, activation, nn::*, value_and_grad,
    value_and_grad_with,
};

fn pair() -> [Param<f64>; 2] {
    [
        Param::new(Tensor::from([1.0, 2.0])),
        Param::new(Tensor::from([3.0, 5.0])),
    ]
}

#[test]
fn a_parameter_that_is_used_twice_gets_the_sum() {
    let encoder = Linear::<f64>::without_bias(2, 3, &mut crate::rng(0));
    let x = Tensor::from([[1.0, -2.0]]);
    // An autoencoder with tied weights: x -> W x -> W' W x.
    let step = value_and_grad(&encoder, |layer, tape| {
        let code = layer.forward(tape.constant(&x));
        code.matmul(layer.weight.on(tape)).sum()
    });
    // d/dW of sum(x W' W) = W (x' 1 + 1' x)
    let w = layer_rows(&encoder);
    let (a, b) = ([1.0, -2.0], [1.0, 1.0]);
    let expected = Tensor::from_fn([3, 2], |index| {
        let (i, j) = (index[0], index[1]);
        (0..2).map(|k| w[i][k] * (a[k] * b[j] + b[k] * a[j])).sum()
    });
    let found = step.gradient(&encoder.weight).unwrap();
    assert!(
        found.all_close(&expected, 1e-13, 1e-13),
        "{found:?}, not {expected:?}"
    );
}

fn layer_rows(layer: &Linear<f64>) -> Vec<Vec<f64>> {
    layer
        .weight
        .value()
        .rows()
        .map(|row| row.to_vec())
        .collect()
}

#[test]
fn gradients_come_in_the_order_of_a_visit_with_their_names() {
    let model = pair();
    let step = value_and_grad(&model, |m, tape| {
        let (second, first) = (m[1].on(tape), m[0].on(tape));
        (second * second * first).sum()
    });
    assert_eq!(step.value(), 9.0 + 50.0);
    let named = step.named_gradients(&model);
    let names: Vec<_> = named.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["0", "1"]);
    assert_eq!(step.gradient(&model[0]), Some(&Tensor::from([9.0, 25.0])));
    assert_eq!(step.gradient(&model[1]), Some(&Tensor::from([6.0, 20.0])));
    assert_eq!(step.gradients().len(), 2);
}

#[test]
fn further_values_come_from_the_same_run() {
    let model = pair();
    let (step, (product, [a, b])) = value_and_grad_with(&model, |m, tape| {
        let (a, b) = (m[0].on(tape), m[1].on(tape));
        ((a * b).sum(), (a * b, [a, b]))
    });
    assert_eq!(step.value(), 13.0);
    assert_eq!(product, Tensor::from([3.0, 10.0]));
    assert_eq!((&a, &b), (model[0].value(), model[1].value()));
}

#[test]
fn what_the_loss_does_not_depend_on_is_remembered() {
    let mut model = (pair(), vec![Param::new(Tensor::from([1.0f32]))]);
    // One parameter is never used, one is used for nothing.
    let loss = |m: &([Param<f64>; 2], Vec<Param>), tape: crate::TapeRef| {
        let _ = m.0[1].on(tape) * 2.0;
        m.0[0].on(tape).sum()
    };
    let step = value_and_grad(&model, loss);
    assert_eq!(step.unreached(), ["0.1", "1.0"]);
    assert!(step.gradient(&model.0[1]).is_none() && step.gradient(&model.1[0]).is_none());
    model.0[1].freeze();
    model.1.freeze();
    assert!(value_and_grad(&model, loss).unreached().is_empty());
}

#[test]
fn a_gradient_that_is_cut_is_no_dependence() {
    let model = pair();
    let step = value_and_grad(&model, |m, tape| {
        (m[0].on(tape) * m[1].on(tape).stop_gradient()).sum()
    });
    assert_eq!(step.unreached(), ["1"]);
}

#[test]
fn a_loss_without_parameters() {
    let model = pair();
    let step = value_and_grad(&model, |_, tape| tape.number(2.5));
    assert_eq!((step.value(), step.gradients().len()), (2.5, 0));
    assert_eq!(step.unreached(), ["0", "1"]);
    let step = value_and_grad(&(), |_, tape| tape.number(2.5f32));
    assert!(step.unreached().is_empty());
}

#[test]
fn a_parameter_can_be_the_loss() {
    let model = Param::new(Tensor::from(2.0f32));
    let step = value_and_grad(&model, |m, tape| m.on(tape));
    assert_eq!(
        (step.value(), step.gradient(&model)),
        (2.0, Some(&Tensor::from(1.0)))
    );
}

#[test]
fn a_trait_object_is_a_model() {
    let model: Box<dyn Module> = Box::new(pair());
    let step = value_and_grad(&*model, |_, tape| tape.number(1.0));
    assert_eq!(step.unreached().len(), 2);
}

fn wide(gradient: [f64; 2]) -> (Step<f64>, Param<f64>, Param) {
    let model = (
        Param::new(Tensor::from(0.0f64)),
        Param::new(Tensor::from([0.0f32])),
    );
    let step = value_and_grad(&model, |m, tape| {
        m.0.on(tape) * gradient[0] + m.1.on(tape).sum().cast() * gradient[1]
    });
    (step, model.0, model.1)
}

#[test]
fn clipping_by_norm_is_that_of_pytorch() {
    let (mut step, a, b) = wide([3.0, -4.0]);
    assert_eq!(step.clip_norm(2.5), 5.0);
    let coefficient = 2.5 / (5.0 + 1e-6);
    assert_eq!(step.gradient(&a), Some(&Tensor::from(3.0 * coefficient)));
    assert_eq!(
        step.gradient(&b),
        Some(&Tensor::from([-4.0 * coefficient as f32]))
    );
    let (mut step, a, _) = wide([3.0, -4.0]);
    assert_eq!(step.clip_norm(5.1), 5.0);
    assert_eq!(step.gradient(&a), Some(&Tensor::from(3.0)));
}

#[test]
fn a_norm_that_is_not_finite_is_not_hidden() {
    let (mut step, a, b) = wide([f64::INFINITY, 1.0]);
    assert_eq!(step.clip_norm(1.0), f64::INFINITY);
    assert!(step.gradient(&a).unwrap().item().is_nan());
    assert_eq!(step.gradient(&b), Some(&Tensor::from([0.0])));
    let (mut step, _, b) = wide([f64::NAN, 1.0]);
    assert!(step.clip_norm(1.0).is_nan());
    assert!(step.gradient(&b).unwrap().item().is_nan());
}

#[test]
fn clipping_by_value() {
    let (mut step, a, b) = wide([3.0, -4.0]);
    step.clip_value(3.5);
    assert_eq!(step.gradient(&a), Some(&Tensor::from(3.0)));
    assert_eq!(step.gradient(&b), Some(&Tensor::from([-3.5])));
}

/// Two gradients that are one value on the tape: changing one must not change the other.
#[test]
fn gradients_that_share_memory_are_clipped_apart() {
    let model = pair();
    let c = Tensor::from([3.0, 4.0]);
    let mut step = value_and_grad(&model, |m, tape| {
        ((m[0].on(tape) + m[1].on(tape)) * tape.constant(&c)).sum()
    });
    step.clip_norm(1.0);
    assert_eq!(step.gradient(&model[0]), step.gradient(&model[1]));
    assert!((step.norm() - 1.0).abs() < 1e-6);
    assert_eq!(c, Tensor::from([3.0, 4.0]));
}

#[test]
#[should_panic(expected = "value_and_grad: the loss has shape [2], but must be a scalar")]
fn a_loss_with_axes_is_refused() {
    value_and_grad(&pair(), |m, tape| m[0].on(tape));
}

#[test]
#[should_panic(expected = "value_and_grad: the loss is a variable of another tape")]
fn a_loss_of_another_tape_is_refused() {
    let other = Tape::new();
    value_and_grad(&pair(), |_, _| other.number(1.0));
}

#[test]
#[should_panic(expected = "clip_norm: -1 is not a limit")]
fn a_negative_limit_is_refused() {
    wide([1.0, 1.0]).0.clip_norm(-1.0);
}

#[test]
fn steps_inside_a_step() {
    let model = pair();
    let step = value_and_grad(&model, |m, tape| {
        let inner = value_and_grad(m, |m, tape| (m[0].on(tape) * m[1].on(tape)).sum());
        let rate = inner.gradient(&m[0]).unwrap();
        (m[0].on(tape) * m[1].on(tape) * tape.constant(rate)).sum()
    });
    assert_eq!(step.value(), 9.0 + 50.0);
}

#[test]
fn the_gradient_of_a_network_is_that_of_differences() {
    let rng = &mut crate::rng(4);
    let mut model: Sequential<f64> = crate::sequential![
        Linear::new(3, 5, rng),
        activation::Tanh,
        Linear::without_bias(5, 4, rng),
        activation::Gelu,
        Linear::new(4, 2, rng),
    ];
    let x = Tensor::normal([6, 3], 0.0, 1.0, rng);
    let loss = |m: &Sequential<f64>, tape: crate::TapeRef| -> Var<f64> {
        let classes = Tensor::from([0, 1, 1, 0, 1, 0]);
        crate::loss::cross_entropy(m.forward(tape.constant(&x)), tape.constant(&classes))
    };
    struct Nudge(usize, f64);
    impl<'a> crate::VisitorMut<'a> for Nudge {
        fn enter(&mut self, _: crate::Segment) {}
        fn leave(&mut self) {}
        fn param(&mut self, param: crate::ParamMut<'a>) {
            let crate::ParamMut::F64(param) = param else {
                return;
            };
            let len = param.value().len();
            if self.0 < len {
                param.value_mut().as_mut_slice()[self.0] += self.1;
            }
            self.0 = self.0.wrapping_sub(len);
        }
    }
    let step = value_and_grad(&model, loss);
    let gradient: Vec<f64> = step
        .gradients()
        .flat_map(|g| match g {
            crate::AnyTensor::F64(g) => g.to_vec(),
            _ => unreachable!(),
        })
        .collect();
    assert_eq!(gradient.len(), model.parameter_count());
    for (i, &slope) in gradient.iter().enumerate() {
        let mut at = |h: f64| {
            model.visit_mut(&mut Nudge(i, h));
            let value = value_and_grad(&model, loss).value();
            model.visit_mut(&mut Nudge(i, -h));
            value
        };
        let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!(
            (difference - slope).abs() < 1e-8,
            "{i}: {slope}, not {difference}"
        );
    }
}
