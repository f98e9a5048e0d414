//! Mistakes in a program panic at the line that made them, in words, and leave nothing on the tape.

use super::panic::caught;
use wengert::{AnyVar, Binary, ErrorKind, Reads, Tape, Tensor, Var};

/// Asserts that an expression panics, at its own line, with a message that contains each of the
/// texts, and that the tape is as it was before.
macro_rules! refused {
    ($tape:expr, $body:expr, $($text:expr),+) => {{
        let before = $tape.len();
        let panic = caught(|| $body);
        for text in [$($text),+] {
            assert!(panic.message.contains(text), "{:?} does not say {text:?}", panic.message);
        }
        assert!(panic.file.ends_with("errors.rs"), "{panic:?} is not at the caller's line");
        // rustfmt may have broken the expression into lines.
        let lines = line!()..line!() + 12;
        assert!(lines.contains(&panic.line), "{panic:?} is not in {lines:?}");
        assert_eq!($tape.len(), before, "{:?} left nodes behind", panic.message);
    }};
}

fn leaf(tape: &Tape, shape: &[usize]) -> Var<f64> {
    tape.leaf(&Tensor::ones(shape))
}

#[test]
fn shapes_that_do_not_broadcast() {
    let tape = Tape::new();
    let (a, b) = (leaf(&tape, &[2, 3]), leaf(&tape, &[4, 5]));
    let (condition, other) = (a.gt(0.0), b.gt(0.0));
    refused!(tape, a + b, "add", "[2, 3]", "[4, 5]");
    refused!(tape, a - b, "sub", "[2, 3]", "[4, 5]");
    refused!(tape, a * b, "mul", "[2, 3]", "[4, 5]");
    refused!(tape, a / b, "div", "[2, 3]", "[4, 5]");
    refused!(tape, a.pow(b), "pow", "[2, 3]", "[4, 5]");
    refused!(tape, a.maximum(b), "maximum", "[2, 3]", "[4, 5]");
    refused!(tape, a.minimum(b), "minimum", "[2, 3]", "[4, 5]");
    refused!(tape, a.lt(b), "lt", "[2, 3]", "[4, 5]");
    refused!(tape, condition.and(other), "and", "[2, 3]", "[4, 5]");
    refused!(tape, condition.select(a, b), "select", "[2, 3]", "[4, 5]");
    refused!(tape, a.clamp(b, a), "clamp", "[2, 3]", "[4, 5]");
    refused!(tape, a.clamp(0.0, b), "clamp", "[2, 3]", "[4, 5]");
    refused!(tape, a.expand([3, 2]), "expand", "[2, 3]", "[3, 2]");
    let mut c = a;
    refused!(tape, c += b, "add", "[2, 3]", "[4, 5]");
}

#[test]
fn products_that_do_not_fit() {
    let tape = Tape::new();
    let (a, b) = (leaf(&tape, &[2, 3]), leaf(&tape, &[4, 5]));
    let (row, number) = (leaf(&tape, &[7]), leaf(&tape, &[]));
    refused!(
        tape,
        a.matmul(b),
        "matmul: inner sizes differ: [2, 3] x [4, 5]"
    );
    refused!(
        tape,
        a.matmul(row),
        "matmul: inner sizes differ: [2, 3] x [7]"
    );
    refused!(
        tape,
        row.matmul(a),
        "matmul: inner sizes differ: [7] x [2, 3]"
    );
    refused!(tape, row.matmul(number), "matmul", "scalar", "[7]");
    refused!(tape, number.matmul(a), "matmul", "scalar", "[2, 3]");
    let (c, d) = (leaf(&tape, &[2, 4, 3]), leaf(&tape, &[5, 3, 4]));
    refused!(tape, c.matmul(d), "matmul", "[2, 4, 3]", "[5, 3, 4]");
}

#[test]
fn axes_out_of_range_or_repeated() {
    let tape = Tape::new();
    let x = leaf(&tape, &[2, 3]);
    refused!(tape, x.sum_axes(2), "sum", "axis 2", "[2, 3]");
    refused!(tape, x.sum_axes(-3), "sum", "axis -3", "[2, 3]");
    refused!(tape, x.mean_axes(5), "mean", "axis 5", "[2, 3]");
    refused!(tape, x.max_keepdim(2), "max", "axis 2", "[2, 3]");
    refused!(tape, x.prod_axes(2), "prod", "axis 2", "[2, 3]");
    refused!(tape, x.var_axes(2, 0), "var", "axis 2", "[2, 3]");
    refused!(tape, x.std_axes(2, 0), "std", "axis 2", "[2, 3]");
    refused!(tape, x.logsumexp_axes(-3), "logsumexp", "axis -3", "[2, 3]");
    refused!(tape, x.softmax(2), "softmax", "axis 2", "[2, 3]");
    refused!(tape, x.log_softmax(2), "log_softmax", "axis 2", "[2, 3]");
    refused!(tape, x.transpose(0, 2), "transpose", "axis 2", "[2, 3]");
    refused!(tape, x.flip(2), "flip", "axis 2", "[2, 3]");
    refused!(tape, x.slice(2, ..), "slice", "axis 2");
    refused!(tape, x.at(2, 0), "at", "axis 2");
    refused!(tape, x.squeeze(2), "squeeze", "axis 2");
    refused!(tape, x.unsqueeze(3), "unsqueeze", "axis 3");
    refused!(tape, x.pad(2, 1, 1), "pad", "axis 2");
    refused!(tape, x.pad_with(2, 1, 1, 0.5), "pad", "axis 2");
    refused!(tape, x.split(&[1], 2), "split", "axis 2");
    refused!(tape, Var::concat(&[x, x], 2), "concat", "axis 2");
    refused!(tape, Var::stack(&[x, x], 3), "stack", "axis 3");
    refused!(tape, x.sum_axes([0, 0]), "sum", "repeated", "[2, 3]");
    refused!(tape, x.sum_axes([1, -1]), "sum", "repeated", "[2, 3]");
    refused!(tape, x.max_axes([0, -2]), "max", "repeated", "[2, 3]");
    refused!(tape, x.permute([0, 0]), "permute", "repeated", "[2, 3]");
    refused!(tape, x.permute([0]), "permute", "[2, 3]");
    refused!(tape, x.flip([1, 1]), "flip", "repeated", "[2, 3]");
    let number = leaf(&tape, &[]);
    refused!(tape, number.sum_axes(0), "sum", "axis 0");
    refused!(tape, number.t(), "t:", "scalar");
    refused!(tape, number.softmax(-1), "softmax", "axis -1");
}

#[test]
fn indices_ranges_and_sizes_that_do_not_fit() {
    let tape = Tape::new();
    let x = leaf(&tape, &[2, 3]);
    refused!(tape, x.at(1, 3), "at", "index 3", "[2, 3]");
    refused!(tape, x.at(0, -3), "at", "index -3", "[2, 3]");
    refused!(tape, x.slice(1, 2..5), "slice", "2..5", "[2, 3]");
    refused!(tape, x.slice(1, -4..), "slice", "-4..", "[2, 3]");
    let (start, end) = (2, 1);
    refused!(tape, x.slice(1, start..end), "slice", "2..1", "[2, 3]");
    refused!(tape, x.slice_step(1, .., 0), "slice", "step of 0");
    refused!(tape, x.reshape([4, 2]), "reshape", "[2, 3]", "[4, 2]");
    refused!(tape, x.squeeze(0), "squeeze", "[2, 3]");
    refused!(tape, x.split(&[1, 1], 1), "split", "[1, 1]", "[2, 3]");
    let y = leaf(&tape, &[2, 4]);
    refused!(tape, Var::concat(&[x, y], 0), "concat", "[2, 3]", "[2, 4]");
    refused!(tape, Var::stack(&[x, y], 0), "stack", "[2, 3]", "[2, 4]");
    refused!(tape, Var::<f64>::concat(&[], 0), "concat", "no variables");
    refused!(tape, Var::<f64>::stack(&[], 0), "stack", "no variables");
    refused!(tape, tape.full([usize::MAX, 2], 1.0), "full", "too large");
    refused!(tape, x.expand([usize::MAX, 2, 3]), "expand");
    refused!(tape, x.pad(0, usize::MAX / 16, 0), "pad");
    refused!(tape, x.pad(0, usize::MAX, 1), "pad");
    refused!(tape, x.split(&[usize::MAX, 4], 1), "split");
}

#[test]
fn indices_in_data() {
    let tape = Tape::new();
    let x = leaf(&tape, &[2, 3]);
    let indices = |numbers: &[i64]| tape.constant(&Tensor::from(numbers));
    let (good, far, negative) = (indices(&[0, 1]), indices(&[0, 3]), indices(&[0, -7]));
    refused!(tape, x.index_select(1, far), "index_select", "3", "axis 1");
    refused!(tape, x.index_select(1, negative), "index_select", "-7");
    refused!(tape, x.index_select(2, good), "index_select", "axis 2");
    refused!(tape, far.one_hot::<f64>(3), "one_hot", "3");
    refused!(tape, x.gather(0, good), "gather", "[2, 3]", "[2]");
    let table = far.reshape([1, 2]);
    let source = leaf(&tape, &[1, 2]);
    refused!(
        tape,
        x.scatter_add(2, table, source),
        "scatter_add",
        "axis 2"
    );
    // Indices that are computed are known when they are, and the line that recorded the operation
    // is named.
    let computed = far + good;
    let line = line!() + 1;
    let y = x.index_select(1, computed);
    let place = format!("errors.rs:{line}:");
    refused!(tape, y.value(), "index_select", "4", &place);
    refused!(tape, y.reference_value(), "index_select", "4", &place);
    let line = line!() + 1;
    let z = x.gather(1, table);
    let place = format!("errors.rs:{line}:");
    refused!(tape, z.value(), "gather", "3", &place);
    assert_eq!(x.index_select(1, good).shape(), [2, 2].into());
}

#[test]
fn the_extreme_of_nothing() {
    let tape = Tape::new();
    let x = leaf(&tape, &[0, 3]);
    refused!(tape, x.max(), "max", "no elements", "[0, 3]");
    refused!(tape, x.min(), "min", "no elements", "[0, 3]");
    refused!(tape, x.max_axes(0), "max", "no elements", "[0, 3]");
    refused!(tape, x.min_keepdim([0, 1]), "min", "no elements", "[0, 3]");
    // Along the axis that has elements there is nothing to take it of, and nothing wrong.
    assert_eq!(x.max_axes(1).value(), Tensor::<f64>::zeros([0]));
    assert_eq!(x.sum().value().item(), 0.0);
    assert_eq!(x.prod().value().item(), 1.0);
}

#[test]
fn variables_of_another_tape() {
    let (tape, other) = (Tape::new(), Tape::new());
    let (x, y) = (leaf(&tape, &[2, 2]), leaf(&other, &[2, 2]));
    let (scalar, condition) = (x.sum(), x.gt(0.0));
    refused!(tape, x + y, "add", "two different tapes");
    refused!(tape, x.matmul(y), "matmul", "two different tapes");
    let row = x.at(0, 0);
    refused!(tape, row.matmul(y), "matmul", "two different tapes");
    refused!(tape, x.gt(y), "gt", "two different tapes");
    refused!(tape, condition.select(x, y), "select", "different tapes");
    refused!(
        tape,
        Var::concat(&[x, y], 0),
        "concat",
        "two different tapes"
    );
    refused!(tape, Var::stack(&[x, y], 0), "stack", "two different tapes");
    refused!(tape, scalar.gradient(y), "gradient", "two different tapes");
    refused!(tape, x.vjp(y, [x]), "vjp", "two different tapes");
    refused!(tape, tape.run([x, y]), "run", "another tape");
    refused!(tape, tape.run(y), "run", "another tape");
    assert_eq!(other.len(), 1);
}

#[test]
fn variables_of_a_tape_that_is_gone() {
    let mut tape = Tape::new();
    let x = leaf(&tape, &[2]);
    let gone = {
        let dropped = Tape::new();
        leaf(&dropped, &[2])
    };
    tape.reset();
    let fresh = leaf(&tape, &[2]);
    let total = fresh.sum();
    for old in [x, gone] {
        refused!(tape, old.abs(), "abs", "reset or dropped");
        refused!(tape, old + 1.0, "reset or dropped");
        refused!(tape, 1.0 + old, "reset or dropped");
        refused!(tape, fresh + old, "add", "reset or dropped");
        refused!(tape, old + fresh, "add", "reset or dropped");
        refused!(tape, old.sum(), "sum", "reset or dropped");
        refused!(tape, old.reshape([1, 2]), "reshape", "reset or dropped");
        refused!(tape, old.slice(0, ..), "slice", "reset or dropped");
        refused!(tape, old.matmul(old), "matmul", "reset or dropped");
        refused!(
            tape,
            old.stop_gradient(),
            "stop_gradient",
            "reset or dropped"
        );
        refused!(tape, old.value(), "reset or dropped");
        refused!(tape, old.reference_value(), "reset or dropped");
        refused!(tape, old.shape(), "reset or dropped");
        refused!(tape, old.rank(), "reset or dropped");
        refused!(tape, old.tape().len(), "reset or dropped");
        refused!(
            tape,
            old.tape().leaf(&Tensor::from([1.0])),
            "reset or dropped"
        );
        refused!(tape, total.gradient(old), "reset or dropped");
        refused!(tape, tape.run([fresh, old]), "reset or dropped");
        assert!(format!("{old:?}").contains("gone"));
    }
    // A new tape in the same arena does not bring the variable back.
    let _next = Tape::new();
    assert!(caught(|| gone.value()).message.contains("reset or dropped"));
}

#[test]
fn derivatives_that_do_not_exist() {
    let tape = Tape::new();
    let x = leaf(&tape, &[2]);
    let unused = leaf(&tape, &[3]);
    let constant = tape.constant(&Tensor::from([1.0, 2.0]));
    let (vector, scalar) = (x * constant, (x * constant).sum());
    refused!(tape, vector.gradient(x), "gradient", "[2]", "scalar");
    refused!(tape, scalar.gradient(constant), "gradient", "constant");
    let computed = constant * 1.0;
    refused!(tape, scalar.gradient(computed), "constant");
    refused!(tape, scalar.gradient(unused), "does not depend", "[3]");
    refused!(tape, scalar.gradients([x, unused]), "variable 1", "[3]");
    let cut = x.stop_gradient().sum();
    refused!(tape, cut.gradient(x), "does not depend");
    refused!(tape, vector.vjp(unused, [x]), "vjp", "[3]", "[2]");
    let integers = tape.leaf(&Tensor::from([1i64, 2]));
    let total = integers.sum();
    refused!(tape, total.gradient(integers), "gradient", "i64");
    refused!(tape, scalar.gradient(integers), "gradient", "i64");
    refused!(tape, integers.vjp(integers, [integers]), "vjp", "i64");
    let flags = x.gt(0.0);
    refused!(tape, flags.vjp(flags, [x]), "vjp", "bool");
    let inference = Tape::inference();
    let y = leaf(&inference, &[]);
    let z = y.exp();
    refused!(inference, z.gradient(y), "gradient", "constant");
}

/// An operation of one operand type, to be recorded with another.
#[derive(Debug)]
struct Refuses;

impl wengert::Operation for Refuses {
    fn name(&self) -> &'static str {
        "refuses"
    }
    fn output(
        &self,
        inputs: &[(wengert::Dtype, &wengert::Shape)],
    ) -> Result<(wengert::Dtype, wengert::Shape), String> {
        match inputs {
            [(dtype, shape)] => Ok((*dtype, (*shape).clone())),
            _ => Err(format!("takes one input, not {}", inputs.len())),
        }
    }
    fn forward(&self, _: &[wengert::Input<'_>], _: wengert::Output<'_>) -> Result<(), String> {
        Err("no value of it can be used".to_string())
    }
    fn vjp(&self, pullback: &wengert::Pullback<'_>, _: usize) -> AnyVar {
        pullback.cotangent::<f64>().erase()
    }
}

#[test]
fn a_users_operation_refuses_in_its_own_words() {
    let tape = Tape::new();
    let x = leaf(&tape, &[2]).erase();
    refused!(
        tape,
        tape.record(Refuses, &[x, x]),
        "refuses: takes one input, not 2"
    );
    refused!(tape, x.typed::<f32>(), "f64", "f32");
    let line = line!() + 1;
    let y = tape.record(Refuses, &[x]).typed::<f64>();
    // The run names the line that recorded the operation.
    let place = format!("errors.rs:{line}:");
    refused!(
        tape,
        y.value(),
        "refuses: no value of it can be used",
        &place
    );
    refused!(tape, y.reference_value(), "refuses: no value of it", &place);
    // The tape can still be used.
    assert_eq!(x.typed::<f64>().sum().value().item(), 2.0);
}

/// An operation whose kernel panics.
#[derive(Debug)]
struct Breaks;

impl wengert::Operation for Breaks {
    fn name(&self) -> &'static str {
        "breaks"
    }
    fn output(
        &self,
        inputs: &[(wengert::Dtype, &wengert::Shape)],
    ) -> Result<(wengert::Dtype, wengert::Shape), String> {
        Ok((inputs[0].0, inputs[0].1.clone()))
    }
    fn forward(&self, _: &[wengert::Input<'_>], _: wengert::Output<'_>) -> Result<(), String> {
        panic!("a fault of the kernel")
    }
    fn vjp(&self, pullback: &wengert::Pullback<'_>, _: usize) -> AnyVar {
        pullback.cotangent::<f64>().erase()
    }
}

#[test]
fn a_kernel_that_panics_leaves_its_tape_and_those_after_it_usable() {
    for _ in 0..2 {
        let mut tape = Tape::new();
        let x = leaf(&tape, &[2]);
        let y = x * 2.0 + 1.0;
        let broken = tape.record(Breaks, &[(y * y).erase()]).typed::<f64>();
        assert_eq!(
            caught(|| (broken + y).value()).message,
            "a fault of the kernel"
        );
        assert_eq!((y * x).sum().value().item(), 6.0);
        tape.reset();
        let x = leaf(&tape, &[3]);
        let y = (x * 3.0 - x) * x;
        assert_eq!(y.sum().gradient(x).value(), Tensor::from([4.0, 4.0, 4.0]));
    }
}

struct Product;
impl Binary<f64> for Product {
    type Output = f64;
    const NAME: &'static str = "product";
    const READS: Reads = Reads::INPUTS;
    fn eval(a: f64, b: f64) -> f64 {
        a * b
    }
    fn vjp(k: usize, a: Var<f64>, b: Var<f64>, _y: Var<f64>, ct: Var<f64>) -> Var<f64> {
        ct * [b, a][k]
    }
}

#[test]
fn a_users_elementwise_operation_is_checked_as_any_other() {
    let tape = Tape::new();
    let (a, b) = (leaf(&tape, &[2]), leaf(&tape, &[3]));
    refused!(tape, a.binary::<Product>(b), "product", "[2]", "[3]");
}

#[test]
fn nodes_of_a_gradient_are_blamed_on_the_operation_they_differentiate() {
    let tape = Tape::new();
    let x = leaf(&tape, &[2]);
    let line = line!() + 1;
    let y = (x * x).sum();
    let text = format!("{:?}", y.gradient(x));
    assert!(text.contains(&format!("errors.rs:{line}:")), "{text}");
}

#[test]
fn data_that_does_not_fit_its_shape_is_an_error() {
    let error = Tensor::from_vec([2, 3], vec![1.0; 5]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    assert!(
        error.to_string().contains("[2, 3]") && error.to_string().contains('5'),
        "{error}"
    );
    let error = Tensor::from_slice([2], &[1.0; 3]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let error = Tensor::<f32>::from_vec([usize::MAX, 2], vec![]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
}

#[test]
fn tensors_refuse_at_the_callers_line() {
    let tape = Tape::new();
    let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    refused!(tape, x.reshape([4]), "reshape", "[2, 3]", "[4]");
    refused!(tape, x.permute([0, 0]), "permute", "repeated");
    refused!(tape, x.slice(1, 0..9), "slice", "0..9", "[2, 3]");
    refused!(tape, x.expand([3, 3]), "expand", "[2, 3]", "[3, 3]");
    refused!(tape, x.squeeze(0), "squeeze", "[2, 3]");
    refused!(tape, x.flip(2), "flip", "axis 2");
    refused!(tape, x.item(), "item", "[2, 3]");
    refused!(tape, x.argmax(2), "argmax", "axis 2");
    refused!(
        tape,
        Tensor::<f64>::zeros([0, 2]).argmax(0),
        "argmax",
        "[0, 2]"
    );
    refused!(tape, x.select_rows(&[2]), "select_rows", "2");
    refused!(
        tape,
        Tensor::concat(&[&x, &x.t()], 0),
        "concat",
        "[2, 3]",
        "[3, 2]"
    );
}
