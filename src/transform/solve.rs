//! Systems of linear equations: what implicit differentiation needs.

use super::vmap::moved;
use crate::element::{Dtype, Element, Float, with_float};
use crate::shape::Shape;
use crate::tape::{AnyVar, Batch, Called, Input, Operation, Output, Pullback, Reads, Var, same};

/// The solutions `x` of `a x = b`. Of shape `[.., n, n]` and `[.., others.., n]`: the axes that both have in front count systems, the
/// others right sides of one system.
#[derive(Debug, PartialEq)]
struct Solve;

/// Records the solution of `a x = b`, by LU decomposition with partial pivoting: for each matrix `n^3 / 3` products, and `n^2` for each
/// right side.
pub(super) fn solve<T: Float>(a: Var<T>, b: Var<T>) -> Var<T> {
    a.tape()
        .call(Called::Static(&Solve), &[a.erase(), b.erase()])
        .assume()
}

impl Operation for Solve {
    fn name(&self) -> &'static str {
        "solve"
    }

    fn output(&self, inputs: &[(Dtype, &Shape)]) -> Result<(Dtype, Shape), String> {
        let ((dtype, a), (_, b)) = (inputs[0], inputs[1]);
        let fits = match (&a[..], &b[..]) {
            ([systems @ .., rows, columns], [all @ .., n]) => {
                rows == n && columns == n && all.starts_with(systems)
            }
            _ => false,
        };
        match fits {
            true => Ok((dtype, b.clone())),
            false => Err(format!("{a} is no matrix for the right side {b}")),
        }
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        let shape = inputs[0].layout().shape();
        let n = shape[shape.rank() - 1];
        let systems: usize = shape[..shape.rank() - 2].iter().product();
        with_float!(output.dtype(), T => {
            let mut a = inputs[0].elements::<T>().into_owned();
            let x = output.elements::<T>();
            inputs[1].copy_to(x);
            if x.is_empty() {
                return Ok(());
            }
            let sides = x.len() / systems;
            for (k, (a, x)) in a.chunks_exact_mut(n * n).zip(x.chunks_exact_mut(sides)).enumerate() {
                let which = |message: String| match systems {
                    1 => message,
                    _ => format!("{message} (system {k} of {systems})"),
                };
                eliminate(a, x, n).map_err(which)?;
            }
            Ok(())
        })
    }

    fn cotangents(&self, pullback: &Pullback<'_>, wanted: &[bool]) -> Option<Vec<Option<AnyVar>>> {
        // Both come from the solution of one adjoint system.
        with_float!(pullback.cotangent.dtype(), T => {
            let (a, x) = (pullback.input::<T>(0), pullback.output::<T>());
            let adjoint = solve(a.t(), pullback.cotangent());
            let of_matrix = || {
                let (matrix, shape) = (a.shape(), x.shape());
                let sides = shape[matrix.rank() - 2..shape.rank() - 1].iter().product();
                let rows = matrix.with_size(matrix.rank() - 2, sides);
                let [adjoint, x] = [adjoint, x].map(|all| all.reshape(&rows));
                (-adjoint.t().matmul(x)).erase()
            };
            Some(vec![wanted[0].then(of_matrix), Some(adjoint.erase())])
        })
    }

    fn batched(&self, batch: &Batch<'_>) -> Option<AnyVar> {
        let (a, tape) = (batch.inputs[0], batch.inputs[0].tape());
        let call = |b: AnyVar| tape.call(Called::Static(&Solve), &[a, b]);
        if batch.differs(0) {
            return Some(call(batch.whole(1)));
        }
        // The matrices are decomposed once: examples are right sides, whose axis follows those that count matrices.
        let systems = a.shape().rank() - 2;
        let solved = call(moved(batch.inputs[1], 0, systems));
        Some(moved(solved, systems, 0))
    }

    fn reads(&self) -> Reads {
        Reads::BOTH
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

/// Gaussian elimination with partial pivoting; the rows of `x` are right sides before and solutions after.
fn eliminate<T: Float>(a: &mut [T], x: &mut [T], n: usize) -> Result<(), String> {
    for k in 0..n {
        let size = |row: usize| num_traits::Float::abs(a[row * n + k]);
        let pivot = (k..n).max_by(|&i, &j| size(i).as_f64().total_cmp(&size(j).as_f64()));
        let pivot = pivot.unwrap_or(k);
        let largest = size(pivot);
        if !num_traits::Float::is_finite(largest) {
            return Err(format!(
                "the matrix, or what is left of it, is not finite in column {k} of {n}"
            ));
        }
        if largest == <T as Element>::ZERO {
            return Err(format!(
                "the matrix is singular: no pivot in column {k} of {n}"
            ));
        }
        for j in k..n {
            a.swap(k * n + j, pivot * n + j);
        }
        let (above, below) = a.split_at_mut((k + 1) * n);
        let row = &above[k * n..];
        for other in below.chunks_exact_mut(n) {
            let factor = other[k] / row[k];
            for j in k..n {
                other[j] -= factor * row[j];
            }
            // What becomes 0 is not read again: the factor is kept there.
            other[k] = factor;
        }
        for x in x.chunks_exact_mut(n) {
            x.swap(k, pivot);
            let (above, below) = x.split_at_mut(k + 1);
            for (x, factors) in below.iter_mut().zip(a[(k + 1) * n..].chunks_exact(n)) {
                *x -= factors[k] * above[k];
            }
        }
    }
    for x in x.chunks_exact_mut(n) {
        for k in (0..n).rev() {
            let known = (k + 1..n).fold(x[k], |rest, j| rest - a[k * n + j] * x[j]);
            x[k] = known / a[k * n + k];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::{Vmap, vmap};
    use crate::{Tape, Tensor, check};

    #[test]
    fn a_system_that_needs_pivots_is_solved() {
        let tape = Tape::new();
        let a = tape.constant(&Tensor::from([
            [0.0, 2.0, 1.0],
            [1.0, 0.0, 0.0],
            [3.0, 1.0, 0.0],
        ]));
        let b = tape.constant(&Tensor::from([7.0, 1.0, 5.0]));
        assert_eq!(solve(a, b).value(), Tensor::from([1.0, 2.0, 3.0]));
    }

    #[test]
    fn derivatives_agree_with_differences() {
        let a = Tensor::from([[3.0, 1.0], [-1.0, 2.0]]);
        let b = Tensor::from([1.0, -2.0]);
        let f = |[x]: [Var<f64>; 1]| {
            let matrix = x.slice(0, ..4).reshape([2, 2]);
            solve(matrix, x.slice(0, 4..))
        };
        let all = Tensor::from([3.0, 1.0, -1.0, 2.0, 1.0, -2.0]);
        check::gradients(f, [&all]).unwrap();
        let tape = Tape::new();
        let (a, b) = (tape.constant(&a), tape.constant(&b));
        let residual = a.matmul(solve(a, b)) - b;
        assert!(residual.abs().max().value().item() < 1e-15);
    }

    #[test]
    fn several_systems_of_several_right_sides_are_solved_as_each_alone() {
        let tape = Tape::new();
        let mut rng = crate::rng(1);
        let matrices = Tensor::<f64>::uniform([2, 3, 3], -1.0, 1.0, &mut rng);
        let sides = Tensor::<f64>::uniform([2, 4, 3], -1.0, 1.0, &mut rng);
        let (a, b) = (tape.leaf(&matrices), tape.leaf(&sides));
        let all = solve(a, b);
        let one = |i: isize, j: isize| solve(a.at(0, i), b.at(0, i).at(0, j));
        for i in 0..2 {
            for j in 0..4 {
                assert_eq!(all.at(0, i).at(0, j).value(), one(i, j).value());
            }
        }
        let each = vmap(|(a, b)| vmap(|b| solve(a, b), b), (a, b));
        assert_eq!(each.value(), all.value());
        let shared = Vmap::new().inputs([None, Some(0)]);
        let shared = shared.apply(
            |(a, b): (Var<f64>, Var<f64>)| solve(a, b),
            (a.at(0, 0), b.at(0, 0)),
        );
        assert_eq!(shared.value(), all.at(0, 0).value());
        let within = Vmap::new().inputs([None, Some(1)]).output(1);
        let within = within.apply(|(a, b): (Var<f64>, Var<f64>)| solve(a, b), (a, b));
        assert_eq!(within.value(), all.value());
        check::gradients(|[a, b]: [Var<f64>; 2]| solve(a, b), [&matrices, &sides]).unwrap();
        let none = solve(a.slice(0, ..0), b.slice(0, ..0));
        assert_eq!(none.value().shape()[..], [0, 4, 3]);
    }

    #[test]
    #[should_panic(
        expected = "solve: the matrix is singular: no pivot in column 1 of 2 (system 1 of 2)"
    )]
    fn a_singular_matrix_among_others_is_named() {
        let tape = Tape::new();
        let a = tape.constant(&Tensor::from([
            [[1.0, 0.0], [0.0, 4.0]],
            [[1.0, 2.0], [2.0, 4.0]],
        ]));
        solve(a, tape.constant(&Tensor::ones([2, 2]))).value();
    }

    #[test]
    #[should_panic(expected = "solve: the matrix is singular: no pivot in column 1 of 2")]
    fn a_singular_matrix_is_refused() {
        let tape = Tape::new();
        let a = tape.constant(&Tensor::from([[1.0, 2.0], [2.0, 4.0]]));
        solve(a, tape.constant(&Tensor::from([1.0, 1.0]))).value();
    }

    #[test]
    #[should_panic(
        expected = "solve: the matrix, or what is left of it, is not finite in column 1 of 2"
    )]
    fn a_matrix_with_a_nan_is_not_called_singular() {
        let tape = Tape::new();
        let a = tape.constant(&Tensor::from([[1.0, f64::NAN], [2.0, 4.0]]));
        solve(a, tape.constant(&Tensor::from([1.0, 1.0]))).value();
    }
}
