use super::super::{Curved, gradient, hessian, jvp};
use super::*;
use ::nalgebra::{
    Matrix3, Matrix4, SMatrix, SymmetricEigen, UnitQuaternion, Vector3, Vector4, convert,
    try_convert,
};

/// A well-behaved matrix that is not symmetric.
const GENERAL: [f64; 9] = [2.0, -0.5, 0.3, 0.7, 1.5, -1.1, 0.2, 0.9, 3.0];

fn matrix<S: RealField + Copy>(x: &[S]) -> Matrix3<S> {
    Matrix3::from_row_slice(x)
}

/// Symmetric and positive definite, from any matrix.
fn gram<S: RealField + Copy>(x: &[S]) -> Matrix3<S> {
    let a = matrix(x);
    a.transpose() * a
}

/// Reverse and forward derivatives against central differences.
fn agrees(
    plain: fn(&[f64]) -> f64,
    reverse: fn(&[Scalar<f64>]) -> Scalar<f64>,
    forward: fn(&[Dual<f64>]) -> Dual<f64>,
    x: &[f64],
) {
    let (value, g) = gradient(reverse, x);
    assert_eq!(value.to_bits(), plain(x).to_bits(), "the value");
    for i in 0..x.len() {
        let mut direction = vec![0.0; x.len()];
        direction[i] = 1.0;
        let (_, tangent) = jvp(|x| vec![forward(x)], x, &direction);
        let near = |h: f64| {
            let mut x = x.to_vec();
            x[i] += h;
            plain(&x)
        };
        // Of fourth order in the step.
        let h = 1e-3;
        let difference =
            (8.0 * (near(h) - near(-h)) - (near(2.0 * h) - near(-2.0 * h))) / (12.0 * h);
        let scale = 1.0 + difference.abs();
        assert!(
            (g[i] - difference).abs() < 1e-8 * scale,
            "variable {i}: reverse {}, difference {difference}",
            g[i]
        );
        assert!(
            (tangent[0] - g[i]).abs() < 1e-11 * scale,
            "variable {i}: forward {}, reverse {}",
            tangent[0],
            g[i]
        );
    }
}

macro_rules! differentiated {
    ($($name:ident($x:expr) |$a:ident| $body:expr;)*) => {
        $(
            #[test]
            fn $name() {
                fn f<S: RealField + Copy>($a: &[S]) -> S {
                    $body
                }
                agrees(f, f, f, &$x);
            }
        )*
    };
}

/// A number that depends on all entries, each in another way.
fn mixed<S: RealField + Copy, const R: usize, const C: usize>(m: &SMatrix<S, R, C>) -> S {
    m.iter().enumerate().fold(S::zero(), |sum, (i, &x)| {
        sum + x * convert::<f64, S>(0.3 + i as f64) + x * x * convert::<f64, S>(0.1)
    })
}

differentiated! {
    product(GENERAL) |x| {
        let a = matrix(x);
        mixed(&(a * a.transpose() * a))
    };
    product_with_a_vector(GENERAL) |x| {
        let v = Vector3::new(x[0], x[4], x[8]);
        mixed(&(matrix(x) * v)) + v.norm() + v.dot(&v.cross(&Vector3::new(x[1], x[2], x[3])))
    };
    determinant(GENERAL) |x| matrix(x).determinant();
    inverse(GENERAL) |x| mixed(&matrix(x).try_inverse().expect("regular"));
    lu(GENERAL) |x| {
        let lu = matrix(x).lu();
        mixed(&lu.l()) + mixed(&lu.u()) + lu.determinant()
    };
    lu_solve(GENERAL) |x| {
        let b = Vector3::new(x[0], S::one(), x[5]);
        mixed(&matrix(x).lu().solve(&b).expect("regular"))
    };
    full_pivoting(GENERAL) |x| {
        let b = Vector3::new(x[0], S::one(), x[5]);
        mixed(&matrix(x).full_piv_lu().solve(&b).expect("regular"))
    };
    qr(GENERAL) |x| {
        let qr = matrix(x).qr();
        mixed(&qr.q()) + mixed(&qr.r())
    };
    cholesky(GENERAL) |x| {
        let c = gram(x).cholesky().expect("positive definite");
        mixed(&c.l()) + c.determinant().ln() + mixed(&c.solve(&Vector3::repeat(x[0])))
    };
    singular_values(GENERAL) |x| mixed(&matrix(x).svd(false, false).singular_values);
    singular_vectors(GENERAL) |x| {
        let svd = matrix(x).svd(true, true);
        mixed(&svd.u.expect("asked for")) + mixed(&svd.v_t.expect("asked for"))
    };
    pseudo_inverse(GENERAL) |x| {
        let tall = SMatrix::<S, 4, 2>::from_row_slice(&x[..8]);
        mixed(&tall.pseudo_inverse(S::default_epsilon()).expect("a tolerance above 0"))
    };
    eigenvalues_of_a_symmetric_matrix(GENERAL) |x| {
        let mut values: Vec<S> = gram(x).symmetric_eigenvalues().iter().copied().collect();
        values.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
        mixed(&Vector3::from_vec(values))
    };
    eigenvectors_of_a_symmetric_matrix(GENERAL) |x| {
        // Squares, for the sign of a vector is free, and weights that do not depend on the order.
        let eigen = SymmetricEigen::new(gram(x));
        let v = eigen.eigenvectors;
        (0..3).fold(S::zero(), |sum, k| sum + eigen.eigenvalues[k].sqrt() * v[(0, k)] * v[(1, k)])
    };
    real_eigenvalues(GENERAL) |x| {
        // Upper Hessenberg form, then shifted QR steps.
        let a = gram(x) + matrix(x) * convert::<f64, S>(0.01);
        let values = a.eigenvalues().expect("real ones");
        values.iter().fold(S::zero(), |sum, &l| sum + l * l * l)
    };
    complex_eigenvalues(GENERAL) |x| {
        let values = matrix(x).complex_eigenvalues();
        values.iter().fold(S::zero(), |sum, l| sum + (l * l * l).re + l.norm_sqr())
    };
    exponential_of_a_matrix(GENERAL) |x| mixed(&matrix(x).exp());
    bidiagonal_and_hessenberg_form(GENERAL) |x| {
        mixed(&matrix(x).hessenberg().h()) + mixed(&matrix(x).bidiagonalize().d())
    };
    rotation(GENERAL) |x| {
        let q = UnitQuaternion::from_scaled_axis(Vector3::new(x[0], x[1], x[2]));
        mixed(&(q * Vector3::new(x[3], x[4], x[5])))
    };
}

#[test]
fn singular_values_have_the_derivative_of_analysis() {
    let a = matrix(&GENERAL);
    let svd = a.svd(true, true);
    let (u, v) = (svd.u.expect("asked for"), svd.v_t.expect("asked for"));
    for k in 0..3 {
        let (_, g) = gradient(|x| matrix(x).singular_values()[k], &GENERAL);
        for i in 0..3 {
            for j in 0..3 {
                assert!((g[3 * i + j] - u[(i, k)] * v[(k, j)]).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn gradient_of_the_logarithm_of_a_determinant() {
    let (_, g) = gradient(|x| matrix(x).determinant().ln(), &GENERAL);
    let inverse = matrix(&GENERAL).try_inverse().expect("regular");
    for i in 0..3 {
        for j in 0..3 {
            assert!((g[3 * i + j] - inverse[(j, i)]).abs() < 1e-14);
        }
    }
}

#[test]
fn second_derivatives_pass_through_a_decomposition() {
    // d2 ln det A / d A_ij d A_kl = -B_li B_jk with B the inverse.
    let f = |x: &[Curved<f64>]| matrix(x).lu().determinant().ln();
    let (_, _, h) = hessian(f, &GENERAL);
    let b = matrix(&GENERAL).try_inverse().expect("regular");
    for (p, row) in h.chunks_exact(9).enumerate() {
        for (q, &found) in row.iter().enumerate() {
            let (i, j, k, l) = (p / 3, p % 3, q / 3, q % 3);
            assert!((found + b[(l, i)] * b[(j, k)]).abs() < 1e-13);
        }
    }
}

#[test]
fn zeros_off_the_diagonal_do_no_harm() {
    let x = [3.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 1.0];
    let of_entry = |k: usize| {
        let mut g = [0.0; 9];
        g[k] = 1.0;
        g
    };
    assert_eq!(
        gradient(|x| matrix(x).singular_values()[1], &x).1,
        of_entry(4)
    );
    assert_eq!(
        gradient(|x| matrix(x).symmetric_eigenvalues()[1], &x).1,
        of_entry(4)
    );
    assert_eq!(
        gradient(|x| matrix(x).qr().r()[(2, 2)].abs(), &x).1,
        of_entry(8)
    );
}

#[test]
fn a_norm_has_no_derivative_at_the_origin() {
    let (_, g) = gradient(|x| Vector3::from_row_slice(x).norm(), &[0.0_f64; 3]);
    assert!(g.iter().all(|d| d.is_nan()), "{g:?}");
}

#[test]
fn a_system_of_four_in_single_precision() {
    let a = Matrix4::<f32>::from_fn(|i, j| {
        if i == j {
            4.0
        } else {
            1.0 / (1.0 + (i + j) as f32)
        }
    });
    let b = [1.0_f32, 2.0, 3.0, 4.0];
    let (_, g) = gradient(
        |b| {
            let a = a.map(Scalar::constant);
            a.lu()
                .solve(&Vector4::from_row_slice(b))
                .expect("regular")
                .sum()
        },
        &b,
    );
    let expected = a.transpose().try_inverse().expect("regular") * Vector4::repeat(1.0);
    for (g, e) in g.iter().zip(expected.iter()) {
        assert!((g - e).abs() < 1e-6);
    }
}

#[test]
fn conversions_put_constants_in_and_take_values_out() {
    let x = convert::<f64, Dual<f64>>(1.5);
    assert_eq!((x.value(), x.tangent()), (1.5, 0.0));
    assert_eq!(convert::<f32, Scalar<f64>>(1.5).value(), 1.5);
    assert_eq!(
        try_convert::<Dual<f64>, f64>(Dual::variable(2.0)),
        Some(2.0)
    );
    let nested: Dual<Dual<f64>> = Dual::constant(Dual::variable(2.0));
    assert_eq!(try_convert::<_, f32>(nested), Some(2.0));
    assert!(nested.is_identical(convert(nested)));
}

#[test]
fn functions_of_a_real_field_are_those_of_the_number() {
    fn f<S: RealField + Copy>(x: S) -> [S; 6] {
        let minus = -x;
        [
            minus.modulus(),
            minus.to_exp().0,
            minus.to_exp().1,
            RealField::clamp(x, S::zero(), S::one()),
            x.sinc(),
            x.try_sqrt().expect("positive") + RealField::atan2(x, S::pi()),
        ]
    }
    let y = f(Dual::variable(2.0_f64));
    let slope_of_sinc = (2.0 * 2.0_f64.cos() - 2.0_f64.sin()) / 4.0;
    let pi = std::f64::consts::PI;
    let last = 0.5 / 2.0_f64.sqrt() + pi / (4.0 + pi * pi);
    let expected = [1.0, 1.0, 0.0, 0.0, slope_of_sinc, last];
    for ((y, plain), slope) in y.iter().zip(f(2.0_f64)).zip(expected) {
        assert_eq!(y.value(), plain);
        assert!((y.tangent() - slope).abs() < 1e-15);
    }
    assert!(Dual::variable(-1.0_f64).try_sqrt().is_none());
    assert_eq!(ComplexField::argument(Dual::variable(-1.0)), pi);
    assert_eq!(
        SimdValue::select(Dual::variable(1.0), false, Dual::variable(2.0)),
        2.0
    );
}
