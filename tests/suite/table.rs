//! Every row of the table of operations: gradients, executors, layouts of the inputs, precision.

use super::sample::{self, cotangent, draw, inputs, narrowest, pull, same_bits, shapes};
use std::collections::BTreeSet;
use wengert::check::{Check, Failure, Report};
use wengert::op::table::{Domain, Row, rows};
use wengert::{Tape, Tensor, Var, rng};

/// Checks a function of as many variables as there are inputs.
fn check(
    settings: &Check,
    f: impl Fn(&[Var<f64>]) -> Var<f64>,
    inputs: &[Tensor<f64>],
) -> Result<Report, Failure> {
    match inputs {
        [a] => settings.gradients(|x: [_; 1]| f(&x), [a]),
        [a, b] => settings.gradients(|x: [_; 2]| f(&x), [a, b]),
        [a, b, c] => settings.gradients(|x: [_; 3]| f(&x), [a, b, c]),
        [a, b, c, d] => settings.gradients(|x: [_; 4]| f(&x), [a, b, c, d]),
        _ => panic!("no check of {} inputs", inputs.len()),
    }
}

/// Calls `test` for each row, with inputs of each combination of shapes.
fn for_each(seed: u64, mut test: impl FnMut(&Row, Vec<Tensor<f64>>) -> Result<(), String>) {
    sample::for_each(seed, |row, shapes, seed| {
        test(row, inputs(row, shapes, &mut rng(seed)))
    });
}

/// The smallest inputs of a row that have elements, for what is too slow for all of them.
fn smallest(row: &Row) -> Vec<Tensor<f64>> {
    let elements = |shapes: &&&[&[usize]]| -> usize {
        shapes.iter().map(|s| s.iter().product::<usize>()).sum()
    };
    let full = |shapes: &&&[&[usize]]| shapes.iter().all(|s| s.iter().product::<usize>() > 1);
    let all = shapes(row);
    let chosen = all.iter().filter(full).min_by_key(elements);
    inputs(
        row,
        chosen.or(all.first()).expect("a row has shapes"),
        &mut rng(3),
    )
}

#[test]
fn first_and_second_derivatives_agree_with_differences() {
    for_each(1, |row, inputs| {
        check(&Check::new(), row.f64, &inputs).map_err(|failure| failure.to_string())?;
        Ok(())
    });
}

#[test]
fn derivatives_of_derivatives_pass_through_every_rule() {
    // The derivative of a linear operation is constant; that of its square is not.
    for_each(2, |row, inputs| {
        let square = |x: &[Var<f64>]| {
            let y = (row.f64)(x);
            y * y
        };
        check(&Check::new().coordinates(4), square, &inputs).map_err(|f| f.to_string())?;
        Ok(())
    });
}

#[test]
fn third_derivatives_agree_with_differences() {
    for row in rows() {
        let f = |x: &[Var<f64>]| {
            let y = (row.f64)(x);
            y * y * y
        };
        let settings = Check::new().order(3).coordinates(3);
        if let Err(failure) = check(&settings, f, &smallest(&row)) {
            panic!("{}: {failure}", row.name);
        }
    }
}

#[test]
fn one_variable_for_all_operands_gets_the_sum_of_their_shares() {
    for row in rows().into_iter().filter(|row| row.domains.len() > 1) {
        let equal = |shapes: &&&[&[usize]]| shapes.iter().all(|s| *s == shapes[0]);
        for shapes in shapes(&row).iter().filter(equal) {
            let x = draw(&narrowest(&row), shapes[0], &mut rng(4));
            let f = |x: &[Var<f64>]| (row.f64)(&vec![x[0]; row.domains.len()]);
            if let Err(failure) = check(&Check::new(), f, &[x]) {
                panic!("{} of {shapes:?}: {failure}", row.name);
            }
        }
    }
}

/// The value and the gradients of a row, and the gradients of the sum of the squares of these,
/// asked for together.
fn evaluate(row: &Row, inputs: &[Tensor<f64>]) -> Vec<Var<f64>> {
    let tape = std::mem::ManuallyDrop::new(Tape::new());
    let xs: Vec<_> = inputs.iter().map(|x| tape.leaf(x)).collect();
    let y = (row.f64)(&xs);
    let first = pull(y, &cotangent(&y.shape(), &mut rng(5)), &xs);
    let norm = first.iter().map(|&g| (g * g).sum()).reduce(|a, b| a + b);
    let second = pull(norm.expect("an input"), &Tensor::scalar(1.0), &xs);
    [vec![y], first, second].concat()
}

#[test]
fn both_executors_compute_the_same_bits() {
    for_each(6, |row, inputs| {
        let asked = evaluate(row, &inputs);
        let planned = asked[0].tape().run(&asked[..]);
        for (k, (var, planned)) in asked.iter().zip(&planned).enumerate() {
            let reference = var.reference_value();
            if !same_bits(planned, &reference) {
                return Err(format!("result {k}: {planned:?}, not {reference:?}"));
            }
        }
        Ok(())
    });
}

/// The same tensor, lying otherwise in memory.
fn layouts(x: &Tensor<f64>) -> Vec<(&'static str, Tensor<f64>)> {
    let rank = x.rank() as isize;
    let reversed: Vec<isize> = (0..rank).rev().collect();
    let mut all = vec![(
        "permuted",
        x.permute(&reversed).contiguous().permute(&reversed),
    )];
    for axis in 0..rank {
        let apart = Tensor::stack(&[x, &x.map(|_| f64::NAN)], axis + 1);
        let mut shape = x.shape().to_vec();
        shape[axis as usize] *= 2;
        let stepped = apart.reshape(shape).slice_step(axis, .., 2);
        all.push(("sliced with a step", stepped));
        all.push(("flipped", x.flip(axis).contiguous().flip(axis)));
    }
    all
}

#[test]
fn inputs_may_lie_in_any_order() {
    for_each(7, |row, inputs| {
        let values = |inputs: &[Tensor<f64>]| {
            let asked = evaluate(row, inputs);
            asked[0].tape().run(asked)
        };
        let expected = values(&inputs);
        for k in 0..inputs.len() {
            for (layout, x) in layouts(&inputs[k]) {
                let mut moved = inputs.clone();
                moved[k] = x;
                for (i, (a, b)) in values(&moved).iter().zip(&expected).enumerate() {
                    if !a.all_close(b, 1e-12, 1e-12) {
                        return Err(format!("input {k} {layout}: result {i}: {a:?}, not {b:?}"));
                    }
                }
            }
        }
        Ok(())
    });
}

#[test]
fn inputs_may_be_broadcast_views() {
    // An extreme of equal elements is at a kink, where both layouts still have to agree.
    for_each(8, |row, inputs| {
        let values = |inputs: &[Tensor<f64>]| {
            let asked = evaluate(row, inputs);
            asked[0].tape().run(asked)
        };
        for (k, input) in inputs.iter().enumerate() {
            for axis in 0..input.rank() as isize {
                if input.shape()[axis as usize] == 0 {
                    continue;
                }
                let view = input.slice(axis, 0..1).expand(input.shape());
                let mut viewed = inputs.clone();
                viewed[k] = view.clone();
                let mut copied = inputs.clone();
                copied[k] = view.contiguous();
                for (i, (a, b)) in values(&viewed).iter().zip(&values(&copied)).enumerate() {
                    let close = a.iter().zip(b).all(|(a, b)| {
                        (a - b).abs() <= 1e-12 * b.abs().max(1.0) || a.is_nan() && b.is_nan()
                    });
                    if !close || a.shape() != b.shape() {
                        return Err(format!(
                            "input {k} broadcast along {axis}: result {i}: {a:?}, not {b:?}"
                        ));
                    }
                }
            }
        }
        Ok(())
    });
}

#[test]
fn single_precision_agrees_with_double() {
    for_each(9, |row, inputs| {
        let tape = Tape::new();
        let wide: Vec<_> = inputs.iter().map(|x| tape.leaf(x)).collect();
        let narrow: Vec<_> = inputs.iter().map(|x| tape.leaf(&x.cast::<f32>())).collect();
        let (y, z) = ((row.f64)(&wide), (row.f32)(&narrow));
        let ct = cotangent(&y.shape(), &mut rng(10));
        let wide = [vec![y], pull(y, &ct, &wide)].concat();
        let narrow = [vec![z], pull(z, &ct.cast(), &narrow)].concat();
        for (k, (wide, narrow)) in wide.iter().zip(&narrow).enumerate() {
            let (wide, narrow) = (wide.value(), narrow.value().cast::<f64>());
            // Sums of a few terms of the size of the largest element, each rounded a few times.
            let size = wide.iter().fold(1.0, |size: f64, x| size.max(x.abs()));
            if !narrow.all_close(&wide, 2e-5, 4e-6 * size) {
                return Err(format!("result {k}: {narrow:?}, not {wide:?}"));
            }
        }
        Ok(())
    });
}

/// Methods of `Var` without a derivative, or whose derivative is that of others.
const WITHOUT_ROW: &[&str] = &[
    // Truth values.
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "and",
    "or",
    "xor",
    "is_nan",
    "is_finite",
    "is_inf",
    // Integers.
    "argmax",
    "argmin",
    "one_hot",
    // Nothing to differentiate by.
    "uniform",
    "normal",
    "bernoulli",
    // Cut on purpose.
    "stop_gradient",
];

/// The names of the public methods that the files of operations define, in plain or through a
/// macro.
fn methods() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/op");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the operations") {
        let path = entry.expect("a file").path();
        if path.ends_with("table.rs") || path.ends_with("rule.rs") || path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in text.lines().map(str::trim) {
            let name = |text: &str| -> String {
                text.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect()
            };
            if let Some(rest) = line.strip_prefix("pub fn ") {
                found.insert(name(rest));
            }
            // `Exp, exp, reads: ..` and `Equal, eq, |a, b| ..` and `sum, sum_axes, sum_keepdim,
            // (..), ..`
            let words: Vec<&str> = line.split(", ").collect();
            let is_name = |w: &str| !w.is_empty() && name(w) == *w;
            match words[..] {
                [op, method, rest, ..]
                    if is_name(op)
                        && op.starts_with(char::is_uppercase)
                        && is_name(method)
                        && method.starts_with(char::is_lowercase)
                        && (rest.starts_with("reads:") || rest.starts_with('|')) =>
                {
                    found.insert(method.to_string());
                }
                [all, axes, keepdim, ..] if axes == format!("{all}_axes") => {
                    found.extend([all, axes, keepdim].map(str::to_string));
                }
                _ => {}
            }
        }
    }
    found.remove("");
    found
}

#[test]
fn every_operation_has_a_row() {
    let named: BTreeSet<String> = rows()
        .iter()
        .flat_map(|row| row.name.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .map(str::to_string)
        .collect();
    let methods = methods();
    for known in ["exp", "sum_axes", "matmul", "slice", "lt", "pow"] {
        assert!(
            methods.contains(known),
            "{known} was not found among {methods:?}"
        );
    }
    // The three forms of a reduction are one.
    let form = |name: &str| {
        let name = name.strip_suffix("_axes").unwrap_or(name);
        name.strip_suffix("_keepdim").unwrap_or(name).to_string()
    };
    let forms: BTreeSet<String> = named.iter().map(|name| form(name)).collect();
    let missing: Vec<&String> = methods
        .iter()
        .filter(|m| !named.contains(*m) && !forms.contains(&form(m)))
        .filter(|m| !WITHOUT_ROW.contains(&m.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "operations without a row in the table: {missing:?}"
    );
    for name in WITHOUT_ROW {
        assert!(
            !named.contains(*name),
            "{name} has a row and is listed as having none"
        );
    }
}

#[test]
fn samples_keep_to_their_domains() {
    let mut rng = rng(11);
    let spaced = draw(&Domain::Spaced(0.5), &[4], &mut rng);
    let mut sorted = spaced.to_vec();
    sorted.sort_by(f64::total_cmp);
    let expected = [-0.15, -0.05, 0.05, 0.15];
    assert!(
        sorted
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-8),
        "{spaced:?}"
    );
    let except = draw(&Domain::Except(-1.0, 1.0, &[0.5], 0.25), &[100], &mut rng);
    assert!(
        except
            .iter()
            .all(|x| x.abs() <= 1.0 && (x - 0.5).abs() > 0.2499)
    );
}
