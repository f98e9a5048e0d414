//! Systems of linear equations with one right side: what implicit differentiation needs.

use crate::element::{Dtype, Element, Float, with_float};
use crate::shape::Shape;
use crate::tape::{AnyVar, Called, Input, Operation, Output, Pullback, Reads, Var, same};

/// The solution `x` of `a x = b`.
#[derive(Debug, PartialEq)]
struct Solve;

/// Records the solution of `a x = b`, by LU decomposition with partial pivoting.
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
        match (&a[..], &b[..]) {
            (&[rows, columns], &[n]) if rows == n && columns == n => Ok((dtype, b.clone())),
            _ => Err(format!("{a} is no matrix for the right side {b}")),
        }
    }

    fn forward(&self, inputs: &[Input<'_>], output: Output<'_>) -> Result<(), String> {
        with_float!(output.dtype(), T => {
            let mut a = inputs[0].elements::<T>().into_owned();
            let x = output.elements::<T>();
            inputs[1].copy_to(x);
            eliminate(&mut a, x)
        })
    }

    fn cotangents(&self, pullback: &Pullback<'_>, wanted: &[bool]) -> Option<Vec<Option<AnyVar>>> {
        // Both come from the solution of one adjoint system.
        with_float!(pullback.cotangent.dtype(), T => {
            let (a, x) = (pullback.input::<T>(0), pullback.output::<T>());
            let adjoint = solve(a.t(), pullback.cotangent());
            let of_matrix = || (-(adjoint.unsqueeze(1) * x)).erase();
            Some(vec![wanted[0].then(of_matrix), Some(adjoint.erase())])
        })
    }

    fn reads(&self) -> Reads {
        Reads::BOTH
    }

    fn is_same(&self, other: &dyn Operation) -> bool {
        same(self, other)
    }
}

/// Gaussian elimination with partial pivoting; `x` holds the right side before and the solution after.
fn eliminate<T: Float>(a: &mut [T], x: &mut [T]) -> Result<(), String> {
    let n = x.len();
    for k in 0..n {
        let size = |row: usize| num_traits::Float::abs(a[row * n + k]);
        let pivot = (k..n).max_by(|&i, &j| size(i).as_f64().total_cmp(&size(j).as_f64()));
        let pivot = pivot.unwrap_or(k);
        let largest = size(pivot);
        if largest == <T as Element>::ZERO || !num_traits::Float::is_finite(largest) {
            return Err(format!(
                "the matrix is singular: no pivot in column {k} of {n}"
            ));
        }
        for j in k..n {
            a.swap(k * n + j, pivot * n + j);
        }
        x.swap(k, pivot);
        let (above, below) = a.split_at_mut((k + 1) * n);
        let row = &above[k * n..];
        for (i, other) in below.chunks_exact_mut(n).enumerate() {
            let factor = other[k] / row[k];
            for j in k..n {
                other[j] -= factor * row[j];
            }
            x[k + 1 + i] -= factor * x[k];
        }
    }
    for k in (0..n).rev() {
        let known = (k + 1..n).fold(x[k], |rest, j| rest - a[k * n + j] * x[j]);
        x[k] = known / a[k * n + k];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
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
    #[should_panic(expected = "solve: the matrix is singular: no pivot in column 1 of 2")]
    fn a_singular_matrix_is_refused() {
        let tape = Tape::new();
        let a = tape.constant(&Tensor::from([[1.0, 2.0], [2.0, 4.0]]));
        solve(a, tape.constant(&Tensor::from([1.0, 1.0]))).value();
    }
}
