//! Twenty steps of every optimizer against an independent implementation of PyTorch's rules in
//! NumPy.

use super::*;
use crate::{Linear, Param, Step, Tape, Tensor, Var, loss, nn::Layer, value_and_grad};

/// The loss whose gradient at step `t` is `c p + k(t)`.
fn bowl<T: crate::Float>(p: Var<T>, t: usize) -> Var<T> {
    let c = p
        .tape()
        .constant(&Tensor::from([1.0, 0.25, 2.0]).cast::<T>());
    let k = 0.25 * (((t * 7) % 5) as f64 - 2.0);
    (c * p * p * T::of(0.5) + p * T::of(k)).sum()
}

fn start<T: crate::Float>() -> Param<T> {
    Param::new(Tensor::from([0.5, -1.25, 3.0]).cast())
}

/// Twenty steps on an f64 and an f32 parameter at once.
fn check(
    mut optimizer: impl Optimizer,
    drop: bool,
    first: [f64; 3],
    second: [f64; 3],
    last: [f64; 3],
) {
    let mut model = (start::<f64>(), start::<f32>());
    for t in 1..=20 {
        if drop && t == 11 {
            optimizer.set_learning_rate(optimizer.learning_rate() * 0.1);
        }
        let step = value_and_grad(&model, |(wide, narrow), tape| {
            bowl(wide.on(tape), t) + bowl(narrow.on(tape), t).cast()
        });
        optimizer.step(&mut model, &step);
        let expected = match t {
            1 => first,
            2 => second,
            20 => last,
            _ => continue,
        };
        for (i, x) in expected.into_iter().enumerate() {
            let (wide, narrow) = (model.0.value()[[i]], model.1.value()[[i]] as f64);
            assert!(
                (wide - x).abs() < 1e-13,
                "step {t}, f64 {i}: {wide}, not {x}"
            );
            assert!(
                (narrow - x).abs() < 2e-6,
                "step {t}, f32 {i}: {narrow}, not {x}"
            );
        }
    }
}

#[test]
fn sgd() {
    check(
        Sgd::new(0.1),
        false,
        [0.45, -1.21875, 2.4],
        [0.355, -1.23828125, 1.8699999999999999],
        [
            0.08502750046108418,
            -0.7431760214886092,
            0.06458051164977757,
        ],
    );
}

#[test]
fn sgd_with_momentum() {
    check(
        Sgd::new(0.1).momentum(0.9),
        false,
        [0.45, -1.21875, 2.4],
        [0.31000000000000005, -1.21015625, 1.3299999999999998],
        [0.16891294995628292, 0.4254472676808369, -1.0499410285689985],
    );
}

#[test]
fn sgd_with_dampening_and_weight_decay() {
    check(
        Sgd::new(0.1)
            .momentum(0.9)
            .dampening(0.3)
            .weight_decay(0.02),
        false,
        [0.449, -1.21625, 2.394],
        [0.3360414, -1.1978878750000002, 1.4750884000000002],
        [0.13988767003663866, 0.2981273537818671, -0.0889912669972936],
    );
}

#[test]
fn sgd_with_nesterov_momentum() {
    check(
        Sgd::new(0.05)
            .nesterov(true)
            .momentum(0.8)
            .weight_decay(0.01),
        false,
        [0.45455, -1.22075, 2.4573],
        [0.352071405, -1.22678445, 1.7748144299999997],
        [
            -0.010083231164900439,
            -0.3358186805461406,
            0.12521315110592335,
        ],
    );
}

#[test]
fn sgd_upwards() {
    check(
        Sgd::new(0.01).momentum(0.5).maximize(true),
        false,
        [0.505, -1.253125, 3.06],
        [0.51755, -1.2528203125000001, 3.1562],
        [0.7299362652908206, -1.3693930632251718, 6.190012133193257],
    );
}

#[test]
fn sgd_with_a_rate_that_changes() {
    check(
        Sgd::new(0.1).momentum(0.9),
        true,
        [0.45, -1.21875, 2.4],
        [0.31000000000000005, -1.21015625, 1.3299999999999998],
        [
            -0.16536074535907688,
            -0.21083377721629312,
            0.35889844947626864,
        ],
    );
}

#[test]
fn adam() {
    check(
        Adam::new(0.1),
        false,
        [0.40000000199999997, -1.1500000032, 2.9000000001666666],
        [0.30241460215777677, -1.1364577504619984, 2.799902620302627],
        [
            -0.08478263913492193,
            -0.24253859703617503,
            1.126948391914934,
        ],
    );
}

/// A first decay rate below one half: PyTorch interpolates from the other end.
#[test]
fn adam_with_all_numbers_changed() {
    check(
        Adam::new(0.05)
            .betas(0.4, 0.9)
            .epsilon(1e-3)
            .weight_decay(0.1),
        false,
        [0.4500907441016334, -1.200114025085519, 2.9500079352483732],
        [0.39691824064345826, -1.18908091213779, 2.899468436471901],
        [0.052511715756339186, -0.599385654360744, 2.061125309611844],
    );
}

#[test]
fn adam_with_amsgrad() {
    check(
        Adam::new(0.1).amsgrad(true).weight_decay(0.05),
        false,
        [0.40000000190476187, -1.1500000026666666, 2.900000000162602],
        [0.3021636893165116, -1.1165173139127496, 2.7999053508258034],
        [
            -0.08077339162664193,
            -0.14392462935719344,
            1.126678498375203,
        ],
    );
}

#[test]
fn adam_upwards() {
    check(
        Adam::new(0.02).maximize(true),
        false,
        [0.5199999996, -1.26999999936, 3.0199999999666667],
        [0.539261052222743, -1.2740626397587511, 3.040026338214769],
        [0.8616388730507922, -1.5218700556016216, 3.401867265546834],
    );
}

#[test]
fn adam_with_a_rate_that_changes() {
    check(
        Adam::new(0.1),
        true,
        [0.40000000199999997, -1.1500000032, 2.9000000001666666],
        [0.30241460215777677, -1.1364577504619984, 2.799902620302627],
        [-0.112777974294448, -0.6314434160827163, 1.9248528488666383],
    );
}

#[test]
fn adam_with_decoupled_weight_decay() {
    check(
        AdamW::new(0.1),
        false,
        [0.39950000199999997, -1.1487500032, 2.8970000001666665],
        [0.3015098078257601, -1.1341268290491708, 2.7940069513177517],
        [
            -0.08329723827249194,
            -0.23322912735947546,
            1.090006955728093,
        ],
    );
    check(
        AdamW::new(0.1)
            .weight_decay(0.3)
            .amsgrad(true)
            .betas(0.8, 0.95),
        false,
        [0.38500000199999995, -1.1125000031999999, 2.8100000001666667],
        [0.27477808937210807, -1.0733348483728338, 2.625620297511427],
        [
            -0.002400991685531005,
            -0.10027076878032051,
            0.43690253837921483,
        ],
    );
}

struct Two {
    hidden: Vec<Param<f64>>,
    output: Param<f64>,
}
crate::module!(Two { hidden, output });

fn two() -> Two {
    Two {
        hidden: vec![Param::new(Tensor::from(1.0)), Param::new(Tensor::from(1.0))],
        output: Param::new(Tensor::from(1.0)),
    }
}

/// A step in which every gradient is 1.
fn slope(model: &Two) -> Step<f64> {
    value_and_grad(model, |m, tape| {
        m.hidden[0].on(tape) + m.hidden[1].on(tape) + m.output.on(tape)
    })
}

fn descend(optimizer: &mut impl Optimizer, model: &mut Two) {
    let step = slope(model);
    optimizer.step(model, &step);
}

fn values(model: &Two) -> [f64; 3] {
    [&model.hidden[0], &model.hidden[1], &model.output].map(|p| p.value().item())
}

#[test]
fn groups_have_rates_of_their_own() {
    let mut model = two();
    let mut sgd = Sgd::new(0.5)
        .group("hidden.", |options| options.learning_rate(0.25))
        .group("hidden.1", |options| options.weight_decay(1.0))
        .group("nothing", |options| options.learning_rate(100.0));
    descend(&mut sgd, &mut model);
    // The longest prefix counts: `hidden.1` has the rate of the optimizer, and weight decay.
    assert_eq!(values(&model), [0.75, 0.0, 0.5]);
    sgd.set_learning_rate(0.125);
    assert_eq!(sgd.group_learning_rate("hidden."), 0.25);
    assert_eq!(sgd.group_learning_rate("hidden.1"), 0.125);
    descend(&mut sgd, &mut model);
    assert_eq!(values(&model), [0.5, -0.125, 0.375]);
    sgd.set_group_learning_rate("hidden.", 0.0);
    descend(&mut sgd, &mut model);
    assert_eq!(values(&model), [0.5, -0.234375, 0.25]);
}

#[test]
fn state_follows_the_parameter_wherever_it_is_visited() {
    let (mut straight, mut turned) = (two(), two());
    let (mut one, mut other) = (Adam::new(0.1), Adam::new(0.1));
    for t in 0..6 {
        descend(&mut one, &mut straight);
        let step = slope(&turned);
        if t % 2 == 1 {
            turned.hidden.swap(0, 1);
        }
        other.step(&mut turned, &step);
    }
    assert_eq!(values(&straight), values(&turned));
}

#[test]
fn a_part_of_a_model_is_trained_alone() {
    let mut model = two();
    let step = slope(&model);
    Sgd::new(0.5).step(&mut model.output, &step);
    assert_eq!(values(&model), [1.0, 1.0, 0.5]);
}

#[test]
fn frozen_parameters_stay() {
    let mut model = two();
    model.hidden[1].freeze();
    let step = slope(&model);
    assert!(step.unreached().is_empty());
    let mut adamw = AdamW::new(0.5);
    adamw.step(&mut model, &step);
    assert_eq!(model.hidden[1].value().item(), 1.0);
    // Frozen between the gradient and the step.
    let step = slope(&model);
    let before = values(&model);
    model.output.freeze();
    adamw.step(&mut model, &step);
    assert_eq!(model.output.value().item(), before[2]);
    assert_ne!(model.hidden[0].value().item(), before[0]);
}

#[test]
fn without_state_the_first_step_comes_again() {
    let mut model = two();
    let mut adam = Adam::new(0.25);
    descend(&mut adam, &mut model);
    let first = 1.0 - values(&model)[0];
    adam.set_learning_rate(0.25);
    adam.reset_state();
    model.hidden[0].set(Tensor::from(1.0));
    descend(&mut adam, &mut model);
    assert_eq!(1.0 - values(&model)[0], first);
}

#[test]
fn gradients_that_lie_in_another_order_are_followed_right() {
    let mut w = Param::new(Tensor::<f32>::zeros([2, 3]));
    let c = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let step = value_and_grad(&w, |w, tape| (w.on(tape).t() * tape.constant(&c)).sum());
    Sgd::new(1.0).step(&mut w, &step);
    assert_eq!(
        w.value(),
        &Tensor::from([[-1.0, -3.0, -5.0], [-2.0, -4.0, -6.0]])
    );
    let step = value_and_grad(&w, |w, tape| w.on(tape).sum());
    Sgd::new(1.0).step(&mut w, &step);
    assert_eq!(
        w.value(),
        &Tensor::from([[-2.0, -4.0, -6.0], [-3.0, -5.0, -7.0]])
    );
}

#[test]
fn empty_parameters_do_no_harm() {
    let mut model = Linear::<f32>::new(0, 2, &mut crate::rng(0));
    let step = value_and_grad(&model, |m, tape| {
        m.forward(tape.constant(&Tensor::ones([1, 0]))).sum()
    });
    Adam::new(1.0).step(&mut model, &step);
    assert!(
        model
            .bias
            .unwrap()
            .value()
            .all_close(&Tensor::full([2], -1.0), 1e-6, 0.0)
    );
}

#[test]
fn optimizers_are_trait_objects() {
    let mut all: Vec<Box<dyn Optimizer>> = vec![Box::new(Sgd::new(0.1)), Box::new(AdamW::new(0.1))];
    let mut model = Linear::<f32>::new(2, 1, &mut crate::rng(0));
    for optimizer in &mut all {
        let step = value_and_grad(&model, |m, tape| {
            let y = m.forward(tape.constant(&Tensor::ones([1, 2])));
            loss::mean_squared_error(y, tape.constant(&Tensor::ones([1, 1])))
        });
        optimizer.step(&mut model, &step);
    }
}

#[test]
fn values_that_others_hold_do_not_change() {
    let mut w = Param::new(Tensor::from([1.0]));
    let before = w.value().clone();
    let tape = Tape::new();
    let on_tape = w.on(*tape);
    let step = value_and_grad(&w, |w, tape| w.on(tape).sum());
    Sgd::new(0.5).step(&mut w, &step);
    assert_eq!(w.value(), &Tensor::from([0.5]));
    assert_eq!(before, Tensor::from([1.0]));
    assert_eq!(on_tape.value(), Tensor::from([1.0]));
}

#[test]
#[should_panic(expected = "Sgd: the loss does not depend on hidden.0, output")]
fn a_parameter_that_training_would_miss_is_named() {
    let mut model = two();
    let step = value_and_grad(&model, |m, tape| m.hidden[1].on(tape));
    Sgd::new(1.0).step(&mut model, &step);
}

#[test]
#[should_panic(expected = "Adam: the step is of another model: none of its 3 gradients")]
fn a_step_of_another_model_is_refused() {
    let (one, mut other) = (two(), two());
    Adam::new(1.0).step(&mut other, &slope(&one));
}

#[test]
#[should_panic(expected = "Sgd: Nesterov momentum needs a momentum above 0 and no dampening")]
fn nesterov_without_momentum_is_refused() {
    let mut model = two();
    let step = slope(&model);
    Sgd::new(1.0).nesterov(true).step(&mut model, &step);
}

#[test]
#[should_panic(expected = "Sgd: output has shape [2], its gradient []")]
fn a_parameter_that_changed_its_shape_is_named() {
    let mut model = two();
    let step = slope(&model);
    *model.output.value_mut() = Tensor::from([1.0, 2.0]);
    Sgd::new(1.0).step(&mut model, &step);
}

#[test]
#[should_panic(expected = "Sgd: group \"b\" comes after the first step")]
fn groups_come_before_the_first_step() {
    let mut model = two();
    let mut sgd = Sgd::new(1.0);
    descend(&mut sgd, &mut model);
    let _ = sgd.group("b", |options| options);
}

#[test]
#[should_panic(expected = "Sgd: there is no group \"b\"")]
fn a_group_must_exist() {
    Sgd::new(1.0).set_group_learning_rate("b", 1.0);
}

#[test]
#[should_panic(expected = "Adam: the learning rate is NaN, but must not be negative")]
fn a_rate_is_a_number() {
    let _ = Adam::new(f64::NAN);
}

#[test]
#[should_panic(expected = "Adam: a decay rate is 1, but must be in 0..1")]
fn decay_rates_are_below_one() {
    let _ = Adam::new(1.0).betas(0.9, 1.0);
}

/// One step of `torch.optim.Adam` and `AdamW` for one element, as its documentation writes it.
#[derive(Clone, Copy)]
struct Plain {
    amsgrad: bool,
    maximize: bool,
    through_gradient: f64,
    of_parameter: f64,
}

impl Plain {
    fn adam(self, t: i32, p: &mut f64, g: f64, [m, v, largest]: [&mut f64; 3]) {
        let mut g = if self.maximize { -g } else { g };
        if self.through_gradient != 0.0 {
            g += self.through_gradient * *p;
        }
        *p *= 1.0 - 0.01 * self.of_parameter;
        *m = 0.9 * *m + 0.1 * g;
        *v = 0.999 * *v + 0.001 * g * g;
        *largest = largest.max(*v);
        let spread = if self.amsgrad { *largest } else { *v };
        let (c1, c2) = (1.0 - 0.9f64.powi(t), 1.0 - 0.999f64.powi(t));
        *p -= 0.01 / c1 * *m / (spread.sqrt() / c2.sqrt() + 1e-8);
    }
}

/// Every combination of options makes one pass, whatever the shape, that gives what the rule says.
#[test]
fn all_forms_of_adam_at_all_sizes() {
    let shapes = [
        vec![],
        vec![1],
        vec![0, 3],
        vec![1, 1],
        vec![3],
        vec![7, 5],
        vec![2, 513],
        vec![20_000],
    ];
    for form in 0..12 {
        let decay = [0.0, 0.1, 0.2][form % 3];
        let by = Plain {
            amsgrad: form % 2 == 0,
            maximize: form / 6 == 1,
            through_gradient: if form % 3 == 1 { decay } else { 0.0 },
            of_parameter: if form % 3 == 2 { decay } else { 0.0 },
        };
        let mut model: Vec<Param<f64>> = Vec::new();
        for shape in &shapes {
            let shape = crate::Shape::from(&shape[..]);
            let elements = (0..shape.size()).map(|i| (i as f64 * 0.7).sin()).collect();
            let value = Tensor::from_vec(shape, elements).expect("as many elements");
            model.push(Param::new(value));
        }
        let mut optimizer: Box<dyn Optimizer> = if form % 3 == 2 {
            let adamw = AdamW::new(0.01).weight_decay(decay);
            Box::new(adamw.amsgrad(by.amsgrad).maximize(by.maximize))
        } else {
            let adam = Adam::new(0.01).weight_decay(decay);
            Box::new(adam.amsgrad(by.amsgrad).maximize(by.maximize))
        };
        let mut plain: Vec<Vec<f64>> = model.iter().map(|p| p.value().to_vec()).collect();
        let mut state: Vec<Vec<[f64; 3]>> = plain.iter().map(|p| vec![[0.0; 3]; p.len()]).collect();
        for t in 1..=3 {
            let step = value_and_grad(&model, |model, tape| {
                let squares = model.iter().map(|p| (p.on(tape) * p.on(tape)).sum());
                squares.reduce(|a, b| a + b).expect("several parameters")
            });
            optimizer.step(&mut model, &step);
            for (p, state) in plain.iter_mut().zip(&mut state) {
                for (p, [m, v, largest]) in p.iter_mut().zip(state) {
                    by.adam(t, p, 2.0 * *p, [m, v, largest]);
                }
            }
        }
        for (param, plain) in model.iter().zip(&plain) {
            for (a, b) in param.value().to_vec().iter().zip(plain) {
                assert!((a - b).abs() < 1e-13, "form {form}: {a}, not {b}");
            }
        }
    }
}

/// Options that come after the first step get the running values that they need.
#[test]
fn options_may_come_late() {
    let mut model = two();
    let mut sgd = Sgd::new(0.5);
    descend(&mut sgd, &mut model);
    let mut sgd = sgd.momentum(0.5);
    descend(&mut sgd, &mut model);
    descend(&mut sgd, &mut model);
    // Steps of 0.5, 0.5 and 0.75.
    assert_eq!(values(&model), [-0.75; 3]);
}

#[test]
#[should_panic(expected = "Adam: output has 2 elements, but its state is for 1: reset the state")]
fn a_parameter_that_outgrew_its_state_is_named() {
    let mut model = two();
    let mut adam = Adam::new(1.0);
    descend(&mut adam, &mut model);
    *model.output.value_mut() = Tensor::from([1.0, 2.0]);
    let step = value_and_grad(&model, |m, tape| {
        m.hidden[0].on(tape) + m.hidden[1].on(tape) + m.output.on(tape).sum()
    });
    adam.step(&mut model, &step);
}

/// Updates are recorded on a tape of their own.
#[test]
fn tapes_of_others_are_left_alone() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    let mut model = two();
    descend(&mut Adam::new(1.0), &mut model);
    assert_eq!(tape.len(), 1);
    assert_eq!((x * x).value(), Tensor::from([1.0, 4.0]));
}
