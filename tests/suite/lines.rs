//! Whatever is recorded belongs to a line of the program that had it recorded: never to one of the crate.

use wengert::prelude::*;
use wengert::scalar::Real;
use wengert::transform::*;
use wengert::{AnyVar, Batch, Input, Operation, Output, Pullback, check};

type V = Var<f64>;

/// Asserts that all of a listing names lines of this file, which it does.
#[track_caller]
fn assert_ours(what: &str, tape: TapeRef) {
    let text = tape.to_string();
    let rows = text.lines().filter(|row| row.starts_with("  %"));
    let place = |row: &str| row.rsplit(' ').next().unwrap_or_default().to_string();
    let ours = |row: &&str| place(row).starts_with(&format!("{}:", file!()));
    let (own, others): (Vec<&str>, Vec<&str>) = rows.partition(ours);
    assert!(!own.is_empty(), "{what}: nothing is recorded");
    assert!(others.is_empty(), "{what}:\n{}", others.join("\n"));
}

/// A vector, a matrix, indices.
fn given(tape: &Tape) -> (V, V, Var<i64>) {
    let x = tape.leaf(&Tensor::from([0.5, 1.0, 2.0]));
    let m = tape.leaf(&Tensor::from([[0.5, 1.0], [2.0, 0.25]]));
    (x, m, tape.constant(&Tensor::from([0, 1])))
}

/// Each program alone on a tape, with its derivative if it has one.
macro_rules! recorded {
    (|$x:ident, $m:ident, $i:ident| $($program:expr),* $(,)?) => {$(
        let tape = Tape::new();
        #[allow(unused_variables)]
        let ($x, $m, $i) = given(&tape);
        let y: V = $program;
        assert_ours(stringify!($program), *tape);
        y.vjp(tape.full(y.shape(), 1.0), [$x, $m]);
        assert_ours(concat!("the derivative of ", stringify!($program)), *tape);
    )*};
}

#[test]
fn operations_belong_to_the_line_that_calls_them() {
    recorded!(
        |x, m, i| x.abs(),
        x.sign(),
        x.square(),
        x.exp(),
        x.expm1(),
        x.ln(),
        x.log1p(),
        x.log2(),
        x.log10(),
        x.sqrt(),
        x.rsqrt(),
        x.recip(),
        x.sin(),
        x.cos(),
        x.tan(),
        (x * 0.25).asin(),
        (x * 0.25).acos(),
        x.atan(),
        x.sinh(),
        x.cosh(),
        x.tanh(),
        x.asinh(),
        (x + 1.0).acosh(),
        (x * 0.25).atanh(),
        x.erf(),
        x.erfc(),
        x.sigmoid(),
        x.log_sigmoid(),
        x.softplus(),
        x.gelu(),
        x.gelu_tanh(),
        x.silu(),
        x.mish(),
        x.relu(),
        x.leaky_relu(0.1),
        x.elu(1.0),
        x.selu(),
        x.floor(),
        x.ceil(),
        x.round(),
        x.trunc(),
        x + 1.0,
        1.0 - x,
        x * x,
        x / x,
        -x,
        x.pow(2.5),
        x.pow(x),
        x.atan2(1.0),
        x.maximum(1.0),
        x.minimum(x * 2.0),
        x.clamp(0.0, 1.0),
        x.is_nan().select(x, x * 2.0),
        x.eq(1.0).cast(),
        x.ne(1.0).cast(),
        x.lt(1.0).cast(),
        x.le(1.0).cast(),
        x.ge(1.0).cast(),
        x.gt(1.0).and(x.lt(1.5)).cast(),
        x.gt(1.0).or(x.lt(1.5)).cast(),
        x.gt(1.0).xor(x.lt(1.5)).cast(),
        (!x.gt(1.0)).cast(),
        x.cast::<f32>().cast(),
        x.sum(),
        m.sum_axes(0),
        m.sum_keepdim(0),
        m.max(),
        m.max_axes(1),
        m.max_keepdim(1),
        m.min(),
        m.min_axes(0),
        m.min_keepdim(0),
        m.prod(),
        m.prod_axes(0),
        m.prod_keepdim(1),
        m.mean(),
        m.mean_axes(0),
        m.mean_keepdim(0),
        m.var(1),
        m.var_axes(0, 1),
        m.var_keepdim(0, 1),
        m.std(1),
        m.std_axes(0, 1),
        m.std_keepdim(0, 1),
        m.logsumexp(),
        m.logsumexp_axes(0),
        m.logsumexp_keepdim(0),
        m.softmax(0),
        m.log_softmax(-1),
        m.reshape([4]),
        m.t(),
        m.transpose(0, 1),
        m.permute([1, 0]),
        x.expand([2, 3]),
        x.unsqueeze(0).squeeze(0),
        m.flatten(),
        x.slice(0, 1..),
        x.slice_step(0, .., 2),
        m.at(0, 1),
        x.flip(0),
        m.flip([0, 1]),
        x.stop_gradient(),
        V::concat(&[x, x], 0),
        V::stack(&[x, x], 0),
        x.split(&[1, 2], 0)[1],
        x.pad(0, 1, 1),
        x.pad_with(0, 1, 2, 0.5),
        x.unpack(&[[1].into(), [2].into()])[1],
        x.gather(0, i),
        x.index_select(0, i),
        x.scatter_add(0, i, x.slice(0, ..2)),
        i.one_hot::<f64>(3),
        m.matmul(m),
        m.matmul_t(m),
        m.matmul(m.at(0, 0)),
        x.dropout(0.5),
        x.dropout(1.0),
        x.tape().normal([2], 0.25, 0.75),
        x.tape().uniform([2], 0.25, 0.75),
        x.tape().bernoulli([2], 0.5),
        x.straight_through(|x| x.round()),
        x.on_cotangent(|ct| ct * 2.0),
        x.map_scalar(Cube),
        x.map_array(Both, [2]),
        loss::mean_squared_error(m, m * 2.0),
        loss::cross_entropy(m, i),
        loss::binary_cross_entropy_with_logits(m, m * 0.25),
    );
}

struct Cube;
impl ScalarFunction for Cube {
    fn call<S: Real>(&self, x: S) -> S {
        x * x * x
    }
}

struct Both;
impl ArrayFunction for Both {
    fn call<S: Real>(&self, x: &[S]) -> Vec<S> {
        vec![x[0] * x[1], x[1] * x[2]]
    }
}

#[test]
fn derivatives_belong_to_the_line_that_asks_for_them() {
    let cube = |x: V| x * x * x;
    recorded!(
        |x, m, i| gradient(|x| cube(x).sum(), x),
        value_and_gradient(|[x, m]: [V; 2]| x.sum() * m.sum(), [x, m]).0,
        vjp(cube, x).1(x),
        vjp(|[x, _]: [V; 2]| cube(x), [x, m]).1(x)[1],
        jvp(cube, x, x).1,
        jvp(|x: V| [cube(x), m], x, x).1[1],
        linearize(cube, x).1(x),
        linearize(|x: V| [cube(x), m], x).1(x)[1],
        hvp(|x| cube(x).sum(), x, x),
        hvp(|[x, _]: [V; 2]| cube(x).sum(), [x, m], [x, m])[1],
        jacobian(cube, x),
        jacobian(|[x, _]: [V; 2]| cube(x), [x, m])[1],
        jacobian(|x: V| V::concat(&[cube(x), x], 0), x),
        jacobian(|[x, _]: [V; 2]| V::concat(&[x, cube(x), x, x], 0), [x, m])[1],
        hessian(|x| cube(x).sum(), x),
        hessian(|[x, m]: [V; 2]| cube(x).sum() + m.sum(), [x, m])[0][1],
        gradient(|x| hessian(|x| cube(x).sum(), x).sum(), x),
    );
}

/// Twice its input, with nothing but what an operation must have.
#[derive(Debug)]
struct Double;
impl Operation for Double {
    fn name(&self) -> &'static str {
        "double"
    }
    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Ok((inputs[0].0, inputs[0].1.clone()))
    }
    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let y = output.elements::<f64>();
        inputs[0].copy_to(y);
        y.iter_mut().for_each(|y| *y *= 2.0);
        Ok(())
    }
    fn vjp(&self, pullback: &Pullback<'_>, _k: usize) -> AnyVar {
        (pullback.cotangent::<f64>() * 2.0).erase()
    }
}

/// As [`Double`], with a rule for batches.
#[derive(Debug)]
struct DoubleAll;
impl Operation for DoubleAll {
    fn name(&self) -> &'static str {
        "double all"
    }
    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        Double.output(inputs)
    }
    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        Double.forward(inputs, output)
    }
    fn vjp(&self, pullback: &Pullback<'_>, k: usize) -> AnyVar {
        Double.vjp(pullback, k)
    }
    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let x = batch.repeated::<f64>(0);
        Some(x.tape().record(DoubleAll, &[x.erase()]))
    }
}

#[test]
fn batches_belong_to_the_lines_of_one_example() {
    let columns = Vmap::new().inputs([Some(1)]).output(-1);
    let product = |x: V| (x.sin() * x).sum();
    recorded!(
        |x, m, i| vmap(|x: V| x.sin() * 2.0, m),
        columns.apply(|x: V| x.sin(), m),
        vmap(|_: V| x, m),
        vmap(|row: V| row.dropout(0.5), m),
        vmap(|row: V| row.unsqueeze(0).matmul(m), m),
        vmap(|row: V| row.softmax(0).flip(0), m),
        vmap(|row: V| V::concat(&[row, row], 0).pad(0, 1, 1), m),
        vmap(|row: V| row.index_select(0, i), m),
        vmap(|i: Var<i64>| x.index_select(0, i.unsqueeze(0)), i),
        vmap(|row: V| row.scatter_add(0, i, row), m),
        vmap(|row: V| row.unsqueeze(0) + x.unsqueeze(1), m),
        vmap(|row: V| row.on_cotangent(|ct| ct * 2.0), m),
        vmap(
            |row: V| row.tape().record(Double, &[row.erase()]).typed(),
            m
        ),
        vmap(
            |row: V| row.tape().record(DoubleAll, &[row.erase()]).typed(),
            m
        ),
        vmap(|row: V| gradient(product, row), m),
        vmap(|row: V| jacobian(|x: V| x.sin(), row), m),
        vmap(|row: V| vmap(|x: V| x * x, row), m),
        gradient(|m: V| vmap(|row: V| product(row), m).sum(), m),
    );
}

#[test]
fn parts_and_loops_belong_to_the_lines_of_one_step() {
    let step = |s: V, x: V| (s * x, s);
    let total = |x: V| scan(step, x.at(0, 0), x).0;
    let both = |x: V| (x.sin(), x * 2.0);
    recorded!(
        |x, m, i| total(x),
        scan(step, x.at(0, 0), x).1,
        scan(|s: V, x: V| (s * x.dropout(0.5), s), x.at(0, 0), x).1,
        scan(|s: V, x: V| (s * x + m.sum(), [s, s]), x.at(0, 0), x).1[1],
        gradient(total, x),
        hessian(total, x),
        vmap(total, m),
        vmap(|row: V| gradient(total, row), m),
        checkpoint(|x: V| x.sin() * x, x),
        checkpoint(both, x).0,
        checkpoint(|(x, i): (V, Var<i64>)| x.index_select(0, i), (x, i)),
        vmap(|row: V| checkpoint(both, row).1, m),
        gradient(|x| gradient(|x| checkpoint(both, x).0.sum(), x).sum(), x),
    );
}

#[test]
fn rules_of_ones_own_belong_to_lines_of_ones_own() {
    let sine = |x: V| custom_vjp(|x: V| x.sin(), |x, _, ct| ct * x.cos(), x);
    let two = |x: V| {
        let both = |x: V| (x.sin(), x * 2.0);
        custom_vjp(both, |x, _, (a, b)| a * x.cos() + b * 2.0, x)
    };
    let halves = |x: V| {
        let half = |x: Tensor<f64>| Ok([x.map(|x| x / 2.0), x.map(|x| x / 2.0)]);
        let shapes = [x.shape(), x.shape()];
        custom_multi_output(
            "halves",
            shapes,
            half,
            |_, _, [a, b]: [V; 2]| (a + b) * 0.5,
            x,
        )
    };
    let root = |a: V| implicit_root(|a: Tensor<f64>| Ok(a.map(f64::sqrt)), |z, a| z * z - a, a);
    let heron = |a: V| fixed_point(|z, a| (z + a / z) * 0.5, &Tensor::from(1.0), a);
    recorded!(
        |x, m, i| sine(x),
        two(x).0,
        vmap(sine, m),
        vmap(|row: V| two(row).1, m),
        halves(x)[1],
        vmap(|row: V| halves(row)[0], m),
        x.tape().record(Double, &[x.erase()]).typed(),
        root(x).unwrap(),
        gradient(|x| root(x).unwrap().sum(), x),
        vmap(|row: V| root(row).unwrap(), m),
        vmap(|a: V| heron(a).unwrap(), x),
    );
}

#[test]
fn models_belong_to_the_lines_that_use_them() {
    let rng = &mut wengert::rng(0);
    let model = wengert::sequential![
        Linear::<f64>::new(2, 3, rng),
        activation::Tanh,
        Linear::new(3, 1, rng),
    ];
    let square = |x: V| model.forward(x).square().sum();
    recorded!(
        |x, m, i| model.forward(m),
        {
            let all = Parameters::on(&model, m.tape());
            let found = gradient(|p: Parameters| p.bound(|| square(m)), all);
            found.iter().map(|(_, g)| g.typed::<f64>().sum()).sum_of()
        },
        per_example_gradients(&model, square, m).0,
        {
            let (_, gradients) = per_example_gradients(&model, |x: V| square(x.unsqueeze(0)), m);
            let ones = Parameters::on(&model, m.tape());
            let sums = gradients.weighted_sum(gradients.inner_products::<f64>(&ones));
            let norms = gradients.squares().squared_norms::<f64>() + gradients.squared_norms();
            sums.iter().map(|(_, g)| g.typed::<f64>().sum()).sum_of()
                + norms.sum()
                + gradients.gram::<f64>().sum()
        },
    );
}

/// Sums of variables.
trait SumOf {
    fn sum_of(self) -> V;
}

impl<I: Iterator<Item = V>> SumOf for I {
    fn sum_of(self) -> V {
        self.reduce(|a, b| a + b).expect("some")
    }
}

#[test]
fn messages_name_lines_of_the_program() {
    let tape = Tape::new();
    let (x, ..) = given(&tape);
    // Where a step has no value inside: the line of the loop.
    let line = line!() + 2;
    let panic =
        super::panic::caught(|| scan(|s: V, x: V| (s * x.value().item(), s), x.at(0, 0), x));
    let place = format!("(recorded at {}:{line}:", file!());
    assert!(panic.message.contains(&place), "{}", panic.message);
    // What is wrong before anything is computed: the line of the check.
    let line = line!() + 1;
    let found = check::numerics(|[x]| x * 2.0, [&Tensor::from([f64::NAN])]).unwrap_err();
    let place = found.all()[0].location();
    assert_eq!((place.file(), place.line()), (file!(), line), "{found}");
}

#[test]
fn programs_belong_to_lines_of_whoever_records_them() {
    let input = || ProgramInput::<f64>::batch([2]);
    let x = Tensor::ones([3, 2]);
    let program = Program::record([input()], |[x]| {
        let y = x.square().sum();
        assert_ours("a program", y.tape());
        [y]
    });
    // For another size it is recorded again.
    let program = program.expect("a small one");
    assert_eq!(program.run([&x]).expect("a batch")[0].item(), 6.0);
    let mut model = Linear::<f64>::new(2, 1, &mut rng(0));
    let mut training = TrainingProgram::new([input()], |model: &Linear<f64>, [x]: [V; 1]| {
        let loss = model.forward(x).square().mean();
        assert_ours("a training step", loss.tape());
        loss
    });
    let loss = training.run(&mut model, &mut Sgd::new(0.1), [&x]);
    assert!(loss.expect("a batch") >= 0.0);
}
