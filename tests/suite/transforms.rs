//! Transforms on every row of the table of operations, and against closed forms.

use super::sample::{cotangent, for_each, inputs, pull, same_bits};
use wengert::op::table::Row;
use wengert::transform::{Vmap, gradient, hessian, hvp, jacobian, jvp, linearize, vjp, vmap};
use wengert::{Float, Shape, Tape, Tensor, Var, rng};

/// Whether two tensors agree but for rounding.
pub fn close(what: &str, a: &Tensor<f64>, b: &Tensor<f64>) -> Result<(), String> {
    if a.shape() != b.shape() {
        return Err(format!("{what}: shape {} and {}", a.shape(), b.shape()));
    }
    for (x, y) in a.iter().zip(b.iter()) {
        let near =
            (x - y).abs() <= 1e-11 * (1.0 + x.abs().max(y.abs())) || (x.is_nan() && y.is_nan());
        if !near {
            return Err(format!("{what}: {x} and {y}"));
        }
    }
    Ok(())
}

/// The sum of the products of two variables.
fn dot<T: Float>(a: Var<T>, b: Var<T>) -> Var<T> {
    (a * b).sum()
}

#[test]
fn forward_and_reverse_mode_are_adjoint() {
    for_each(11, |row, shapes, seed| {
        let rng = &mut rng(seed);
        let values = inputs(row, shapes, rng);
        let tape = Tape::new();
        let xs: Vec<_> = values.iter().map(|x| tape.leaf(x)).collect();
        let tangents: Vec<_> = values
            .iter()
            .map(|x| tape.constant(&cotangent(x.shape(), rng)))
            .collect();
        let (y, dy) = jvp(
            |x: Vec<Var<f64>>| (row.f64)(&x),
            xs.clone(),
            tangents.clone(),
        );
        let plain = (row.f64)(&xs);
        close("value", &y.value(), &plain.value())?;
        let ct = cotangent(&y.shape(), rng);
        let pulled = pull(plain, &ct, &xs);
        let back: f64 = pulled
            .iter()
            .zip(&tangents)
            .map(|(&p, &t)| dot(p, t).value().item())
            .sum();
        let there = dot(dy, tape.constant(&ct)).value();
        close("adjoint", &there, &Tensor::from(back))
    });
}

#[test]
fn products_with_hessians_are_derivatives_of_gradients() {
    for_each(12, |row, shapes, seed| {
        let rng = &mut rng(seed);
        let values = inputs(row, shapes, rng);
        let tape = Tape::new();
        let xs: Vec<_> = values.iter().map(|x| tape.constant(x)).collect();
        let f = |x: Vec<Var<f64>>| {
            let y = (row.f64)(&x);
            (y * y).sum()
        };
        let vs: Vec<_> = values
            .iter()
            .map(|x| tape.constant(&cotangent(x.shape(), rng)))
            .collect();
        let reverse = hvp(f, xs.clone(), vs.clone());
        // Forward over reverse, of the cotangents.
        let slope = |x: Vec<Var<f64>>| {
            let (y, back) = vjp(f, x);
            back(y.tape().full(Shape::scalar(), 1.0))
        };
        let (_, forward) = jvp(slope, xs, vs);
        for (a, b) in reverse.iter().zip(&forward) {
            close("hvp", &a.value(), &b.value())?;
        }
        Ok(())
    });
}

/// Three draws of the inputs of a row, and the same stacked.
fn batches(row: &Row, shapes: &[&[usize]], seed: u64) -> (Vec<Vec<Tensor<f64>>>, Vec<Tensor<f64>>) {
    let rng = &mut rng(seed);
    let draws: Vec<_> = (0..3).map(|_| inputs(row, shapes, rng)).collect();
    let stacked = (0..shapes.len())
        .map(|k| {
            let each: Vec<&Tensor<f64>> = draws.iter().map(|draw| &draw[k]).collect();
            Tensor::stack(&each, 0)
        })
        .collect();
    (draws, stacked)
}

#[test]
fn batches_are_their_examples() {
    for_each(13, |row, shapes, seed| {
        let (draws, stacked) = batches(row, shapes, seed);
        let tape = Tape::new();
        let xs: Vec<_> = stacked.iter().map(|x| tape.leaf(x)).collect();
        let y = vmap(|x: Vec<Var<f64>>| (row.f64)(&x), xs.clone());
        if !same_bits(&y.value(), &y.reference_value()) {
            return Err("the executors differ".into());
        }
        for (i, draw) in draws.iter().enumerate() {
            let x: Vec<_> = draw.iter().map(|x| tape.constant(x)).collect();
            close("all", &y.at(0, i as isize).value(), &(row.f64)(&x).value())?;
        }
        // Each operand in turn is the same for all examples.
        for shared in 0..xs.len() {
            if xs.len() == 1 {
                break;
            }
            let axes: Vec<_> = (0..xs.len()).map(|k| (k != shared).then_some(0)).collect();
            let mut some = xs.clone();
            some[shared] = tape.leaf(&draws[0][shared]);
            let y = Vmap::new()
                .inputs(axes)
                .apply(|x: Vec<Var<f64>>| (row.f64)(&x), some);
            for (i, draw) in draws.iter().enumerate() {
                let mut x: Vec<_> = draw.iter().map(|x| tape.constant(x)).collect();
                x[shared] = tape.constant(&draws[0][shared]);
                close(
                    "shared",
                    &y.at(0, i as isize).value(),
                    &(row.f64)(&x).value(),
                )?;
            }
        }
        Ok(())
    });
}

#[test]
fn batches_of_gradients_are_gradients_of_batches() {
    for_each(14, |row, shapes, seed| {
        let (draws, stacked) = batches(row, shapes, seed);
        let tape = Tape::new();
        let xs: Vec<_> = stacked.iter().map(|x| tape.leaf(x)).collect();
        let f = |x: Vec<Var<f64>>| {
            let y = (row.f64)(&x);
            (y * y * y).sum()
        };
        let pulled = |x: Vec<Var<f64>>| {
            let (y, back) = vjp(f, x);
            back(y.tape().full(Shape::scalar(), 1.0))
        };
        let each = vmap(pulled, xs.clone());
        let whole = pulled_from(vmap(f, xs.clone()).sum(), &xs);
        for (k, (a, b)) in each.iter().zip(&whole).enumerate() {
            close("of all", &a.value(), &b.value())?;
            for (i, draw) in draws.iter().enumerate() {
                let x: Vec<_> = draw.iter().map(|x| tape.leaf(x)).collect();
                let alone = pulled_from(f(x.clone()), &x)[k];
                close("of each", &a.at(0, i as isize).value(), &alone.value())?;
            }
        }
        // Second order, through the batch.
        let vs: Vec<_> = stacked
            .iter()
            .map(|x| tape.constant(&cotangent(x.shape(), &mut rng(seed))))
            .collect();
        let n = xs.len();
        let both: Vec<_> = xs.iter().chain(&vs).copied().collect();
        let each = vmap(
            |xv: Vec<Var<f64>>| hvp(f, xv[..n].to_vec(), xv[n..].to_vec()),
            both,
        );
        let whole = hvp(|x: Vec<Var<f64>>| vmap(f, x).sum(), xs, vs);
        for (a, b) in each.iter().zip(&whole) {
            close("hvp", &a.value(), &b.value())?;
        }
        Ok(())
    });
}

fn pulled_from(y: Var<f64>, xs: &[Var<f64>]) -> Vec<Var<f64>> {
    pull(y, &Tensor::from(1.0), xs)
}

#[test]
fn jacobians_by_rows_and_by_columns_agree() {
    for_each(15, |row, shapes, seed| {
        let values = inputs(row, shapes, &mut rng(seed));
        let tape = Tape::new();
        let xs: Vec<_> = values.iter().map(|x| tape.constant(x)).collect();
        // Padding the result or the inputs makes the other way the shorter one.
        let f = |x: Vec<Var<f64>>| (row.f64)(&x).flatten();
        let plain = jacobian(f, xs.clone());
        let n = f(xs.clone()).shape()[0] as isize;
        let long = jacobian(|x: Vec<Var<f64>>| f(x).pad(0, 0, 500), xs.clone());
        let spare = tape.full([1000], 0.0);
        let mut more = xs.clone();
        more.push(spare);
        let wide = jacobian(|x: Vec<Var<f64>>| f(x[..x.len() - 1].to_vec()), more);
        for k in 0..xs.len() {
            close("columns", &plain[k].value(), &long[k].slice(0, ..n).value())?;
            close("rows", &plain[k].value(), &wide[k].value())?;
        }
        Ok(())
    });
}

#[test]
fn a_quadratic_has_the_derivatives_of_a_quadratic() {
    let tape = Tape::new();
    let a = tape.constant(&Tensor::from([
        [2.0, 1.0, 0.0],
        [-1.0, 3.0, 0.5],
        [0.25, 0.0, 1.0],
    ]));
    let x = tape.constant(&Tensor::from([1.0, -2.0, 0.5]));
    let v = tape.constant(&Tensor::from([0.5, 1.0, -1.0]));
    let f = |x: Var| x.matmul(a.matmul(x)) * 0.5;
    let symmetric = (a + a.t()) * 0.5;
    assert_eq!(gradient(f, x).value(), symmetric.matmul(x).value());
    assert_eq!(hessian(f, x).value(), symmetric.value());
    assert_eq!(hvp(f, x, v).value(), symmetric.matmul(v).value());
    assert_eq!(jacobian(|x| gradient(f, x), x).value(), symmetric.value());
    let (_, push) = linearize(|x| gradient(f, x), x);
    assert_eq!(push(v).value(), symmetric.matmul(v).value());
    // Third derivatives vanish.
    let third = jacobian(|x| hessian(f, x), x).value();
    assert_eq!(third, Tensor::zeros([3, 3, 3]));
}

#[test]
fn softmax_has_its_known_jacobian_and_hessian() {
    let tape = Tape::new();
    let x = tape.constant(&Tensor::from([0.5, -1.0, 2.0, 0.0]));
    let p = x.softmax(0);
    let one = tape.constant(&Tensor::<f64>::eye(4));
    let known = one * p - p.unsqueeze(1) * p;
    let found = jacobian(|x: Var<f64>| x.softmax(0), x);
    close("jacobian", &found.value(), &known.value()).unwrap();
    let found = hessian(|x: Var<f64>| x.logsumexp(), x);
    close("hessian", &found.value(), &known.value()).unwrap();
    // d2 p_i / dx_j dx_k = p_i ((d_ij - p_j)(d_ik - p_k) - p_j (d_jk - p_k))
    let found = jacobian(|x| jacobian(|x: Var<f64>| x.softmax(0), x), x).value();
    let p = p.value();
    let d = |i: usize, j: usize| f64::from(i == j);
    for i in 0..4 {
        for j in 0..4 {
            for k in 0..4 {
                let known = p[[i]]
                    * ((d(i, j) - p[[j]]) * (d(i, k) - p[[k]]) - p[[j]] * (d(j, k) - p[[k]]));
                assert!((found[[i, j, k]] - known).abs() < 1e-15);
            }
        }
    }
}

#[test]
fn logistic_regression_has_its_known_derivatives() {
    let tape = Tape::new();
    let xs = Tensor::<f64>::uniform([7, 3], -1.0, 1.0, &mut rng(1));
    let ys = Tensor::from([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
    let (xs, ys) = (tape.constant(&xs), tape.constant(&ys));
    let w = tape.constant(&Tensor::from([0.3, -0.2, 1.0]));
    let one = |w: Var<f64>, x: Var<f64>, y: Var<f64>| {
        let z = (w * x).sum();
        z.softplus() - y * z
    };
    let shared = Vmap::new().inputs([None, Some(0), Some(0)]);
    let loss = |w| shared.apply(|(w, x, y)| one(w, x, y), (w, xs, ys)).sum();
    let p = xs.matmul(w).sigmoid();
    close(
        "gradient",
        &gradient(loss, w).value(),
        &xs.t().matmul(p - ys).value(),
    )
    .unwrap();
    let weights = (p * (p * -1.0 + 1.0)).unsqueeze(1);
    let known = xs.t().matmul(xs * weights);
    close("hessian", &hessian(loss, w).value(), &known.value()).unwrap();
    let each = shared.apply(|(w, x, y)| gradient(|w| one(w, x, y), w), (w, xs, ys));
    close("each", &each.value(), &(xs * (p - ys).unsqueeze(1)).value()).unwrap();
}

#[test]
fn transforms_nest_in_any_order() {
    let tape = Tape::new();
    let xs = tape.leaf(&Tensor::<f64>::uniform([4, 3], -1.0, 1.0, &mut rng(5)));
    let w = tape.leaf(&Tensor::<f64>::uniform([3, 3], -1.0, 1.0, &mut rng(6)));
    let f = |x: Var<f64>| (w.matmul(x).tanh() * x).sum();
    // The Hessians of all examples: of each, of the batch, and as columns of products with a basis.
    let each = vmap(|x| hessian(f, x), xs).value();
    let rows = vmap(|x| jacobian(|x| gradient(f, x), x), xs).value();
    let eye = tape.constant(&Tensor::<f64>::eye(3));
    let columns = vmap(
        |x| {
            Vmap::new()
                .output(1)
                .apply(|v| jvp(|x| gradient(f, x), x, v).1, eye)
        },
        xs,
    );
    close("rows", &each, &rows).unwrap();
    close("columns", &each, &columns.value()).unwrap();
    // A batch within a batch.
    let both = vmap(|x| vmap(|y| (w.matmul(x) * y).sum().sin(), xs), xs).value();
    let plain = xs.matmul(w.t()).matmul(xs.t()).sin().value();
    close("both", &both, &plain).unwrap();
    // Derivatives by what is outside of a transform pass through it.
    let inside = vmap(|x| gradient(f, x).square().sum(), xs)
        .sum()
        .gradient(w)
        .value();
    let outside = gradient(
        |w| {
            vmap(
                |x| {
                    gradient(|x| (w.matmul(x).tanh() * x).sum(), x)
                        .square()
                        .sum()
                },
                xs,
            )
            .sum()
        },
        w,
    );
    close("outside", &inside, &outside.value()).unwrap();
}

#[test]
fn perturbations_are_not_confused() {
    // d/dx (x * d/dy (x + y)) = 1, not 2.
    let tape = Tape::new();
    let one = tape.constant(&Tensor::from(1.0f64));
    let outer = |x: Var<f64>| x * gradient(|y| x + y, one);
    assert_eq!(gradient(outer, one).value().item(), 1.0);
    let (_, forward) = jvp(|x: Var<f64>| x * jvp(|y| x + y, one, one).1, one, one);
    assert_eq!(forward.value().item(), 1.0);
}
