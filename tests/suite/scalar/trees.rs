//! Random programs: reverse mode against forward mode and differences.

use proptest::prelude::*;
use wengert::scalar::{self, Dual, Real};

use super::close;

/// A program; functions are smooth and bounded, so that differences can be taken.
#[derive(Clone, Debug)]
pub enum Expression {
    Variable(usize),
    Constant(f64),
    Unary(usize, Box<Expression>),
    Binary(usize, Box<Expression>, Box<Expression>),
    Wide(usize, Vec<Expression>),
}

/// Random programs of some variables.
pub fn expressions(variables: usize) -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        4 => (0..variables).prop_map(Expression::Variable),
        1 => (-2.0..2.0).prop_map(Expression::Constant),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            (0..15_usize, inner.clone()).prop_map(|(f, a)| Expression::Unary(f, Box::new(a))),
            (0..9_usize, inner.clone(), inner.clone()).prop_map(|(f, a, b)| Expression::Binary(
                f,
                Box::new(a),
                Box::new(b)
            )),
            (0..5_usize, prop::collection::vec(inner, 1..5))
                .prop_map(|(f, a)| Expression::Wide(f, a)),
        ]
    })
}

impl Expression {
    /// The value.
    pub fn at<S: Real>(&self, x: &[S]) -> S {
        match self {
            Expression::Variable(i) => x[*i],
            Expression::Constant(c) => S::from(*c).unwrap(),
            Expression::Unary(f, a) => {
                let a = a.at(x);
                let positive = a * a + S::one();
                match f {
                    0 => a.sin(),
                    1 => a.cos(),
                    2 => a.tanh(),
                    3 => a.atan(),
                    4 => positive.sqrt(),
                    5 => positive.ln(),
                    6 => (-positive).exp(),
                    7 => positive.recip(),
                    8 => -a,
                    9 => a.sin().powi(3),
                    10 => a.asinh(),
                    11 => a.sigmoid(),
                    12 => a.softplus(),
                    13 => positive.cbrt(),
                    _ => positive.ln_1p(),
                }
            }
            Expression::Binary(f, a, b) => {
                let (a, b) = (a.at(x), b.at(x));
                match f {
                    0 => a + b,
                    1 => a - b,
                    2 => a.sin() * b,
                    3 => a / (b * b + S::one()),
                    4 => (a.sin() + S::from(2.0).unwrap()).powf(b.tanh()),
                    5 => a.atan2(b * b + S::one()),
                    6 => a.hypot(b + S::from(10.0).unwrap()),
                    7 => a.tanh().mul_add(b, a),
                    _ => a.tanh() * a.tanh(),
                }
            }
            Expression::Wide(f, terms) => {
                let terms: Vec<S> = terms.iter().map(|t| t.at(x)).collect();
                let bounded: Vec<S> = terms.iter().map(|t| t.tanh()).collect();
                let half = <S::Plain as num_traits::NumCast>::from(0.5).unwrap();
                match f {
                    0 => scalar::sum(&terms),
                    1 => scalar::dot(&terms, &bounded),
                    2 => scalar::linear_combination(&vec![half; terms.len()], &terms),
                    3 => scalar::log_sum_exp(&terms),
                    _ => scalar::polynomial(&bounded, bounded[0]),
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn reverse_agrees_with_forward_and_with_differences(
        e in expressions(3),
        x in prop::array::uniform3(-1.5..1.5_f64),
    ) {
        let (value, gradient) = scalar::gradient(|x| e.at(x), &x);
        prop_assert_eq!(value.to_bits(), e.at(&x).to_bits());
        let forward = e.at(&Dual::variables(x));
        for i in 0..3 {
            prop_assert!(close(gradient[i], forward.tangents()[i], 1e-11), "{:?} {:?}", gradient, forward);
            let h = 1e-5;
            let (mut up, mut down) = (x, x);
            up[i] += h;
            down[i] -= h;
            let difference = (e.at(&up) - e.at(&down)) / (2.0 * h);
            prop_assert!(close(gradient[i], difference, 1e-5), "{} {}", gradient[i], difference);
        }
    }

    #[test]
    fn jacobians_agree_in_both_directions(
        e in prop::collection::vec(expressions(3), 1..6),
        x in prop::array::uniform3(-1.5..1.5_f64),
    ) {
        let (values, jacobian) = scalar::jacobian(|x| e.iter().map(|e| e.at(x)).collect(), &x);
        for (i, e) in e.iter().enumerate() {
            let (value, gradient) = scalar::gradient(|x| e.at(x), &x);
            prop_assert_eq!(values[i].to_bits(), value.to_bits());
            for j in 0..3 {
                prop_assert!(close(jacobian[i * 3 + j], gradient[j], 1e-11));
            }
        }
        let (_, tangents) = scalar::jvp(|x| e.iter().map(|e| e.at(x)).collect(), &x, &[1.0, 2.0, 3.0]);
        for (i, tangent) in tangents.iter().enumerate() {
            let expected = jacobian[i * 3] + 2.0 * jacobian[i * 3 + 1] + 3.0 * jacobian[i * 3 + 2];
            prop_assert!(close(*tangent, expected, 1e-10));
        }
    }
}
