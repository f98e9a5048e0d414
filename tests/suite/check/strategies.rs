//! The strategies draw what they say, and shrink to the simplest.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use std::fmt::Debug;
use wengert::check;
use wengert::{Layer, Module, Shape, Tape, Tensor, prop_assert_gradients};

fn runner() -> TestRunner {
    TestRunner::new(Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    })
}

/// What a strategy shrinks to if nothing passes that is as asked.
fn simplest<S: Strategy>(strategy: S, fails: impl Fn(&S::Value) -> bool) -> S::Value
where
    S::Value: Debug,
{
    let outcome = runner().run(&strategy, |value| {
        if fails(&value) {
            Err(TestCaseError::fail("as asked"))
        } else {
            Ok(())
        }
    });
    match outcome {
        Err(TestError::Fail(_, value)) => value,
        outcome => panic!("nothing is as asked: {outcome:?}"),
    }
}

fn always<S: Strategy>(strategy: S, holds: impl Fn(&S::Value) -> bool)
where
    S::Value: Debug,
{
    let outcome = runner().run(&strategy, |value| {
        prop_assert!(holds(&value), "{value:?}");
        Ok(())
    });
    outcome.unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn shapes_and_pairs() {
    always(check::shapes(0..=3, 1..5), |s| {
        s.rank() <= 3 && s.iter().all(|n| (1..5).contains(n))
    });
    assert_eq!(
        simplest(check::shapes(0..=3, 1..5), |_| true),
        Shape::from([])
    );
    assert_eq!(
        simplest(check::shapes(0..=3, 1..9), |s| s.iter().any(|&n| n >= 4)),
        Shape::from([4])
    );
    always(check::broadcastable(0..=3, 0..5), |(a, b)| {
        a.broadcast(b).is_some_and(|both| both.rank() <= 3)
    });
    let (a, b) = simplest(check::broadcastable(0..=3, 1..5), |(a, b)| a != b);
    let both = a.broadcast(&b).expect("they fit");
    assert!(both.rank() == 1 && both.size() <= 2, "{a} and {b}");
    // All kinds are drawn.
    for kind in 0..3 {
        simplest(check::broadcastable(1..=3, 2..4), |(a, b)| match kind {
            0 => a.rank() < b.rank(),
            1 => a.rank() > b.rank(),
            _ => a.contains(&1) && b.contains(&1),
        });
    }
    let pair = check::broadcastable_tensors(0..=2, 1..4, -2.0..2.0);
    let (a, b) = simplest(pair, |(a, b)| a.iter().any(|x| x > 0.5) && b.len() > 1);
    let nonzero: Vec<usize> = (0..a.len()).filter(|&i| a.to_vec()[i] != 0.0).collect();
    // Elements keep their places while shapes shrink: as many are left as the place of the one that counts asks for.
    assert!(
        matches!(nonzero[..], [at] if (2..=2.max(at + 1)).contains(&b.len())),
        "{a:?} {b:?}"
    );
}

#[test]
fn tensors_away_from_points() {
    let points = [0.0, 1.0];
    let strategy = || check::tensors_away([1..=3], -2.0..1.05, &points, 0.1);
    always(strategy(), |x| {
        x.iter().all(|x| {
            (-2.0..1.05).contains(&x) && points.iter().all(|p| (x - p).abs() >= 0.1 - 1e-12)
        })
    });
    let x = simplest(strategy(), |_| true);
    assert_eq!(x, Tensor::from([0.1]));
}

/// Largest and smallest absolute eigenvalue of a symmetric matrix, by Jacobi's rotations.
fn spectrum(a: &Tensor<f64>) -> (f64, f64) {
    let n = a.shape()[0];
    let mut a: Vec<Vec<f64>> = a.rows().map(|row| row.to_vec()).collect();
    for _ in 0..60 {
        for p in 0..n {
            for q in 0..p {
                if a[p][q] == 0.0 {
                    continue;
                }
                let angle = 0.5 * (2.0 * a[p][q]).atan2(a[q][q] - a[p][p]);
                let (s, c) = angle.sin_cos();
                for row in &mut a {
                    (row[q], row[p]) = (c * row[q] + s * row[p], c * row[p] - s * row[q]);
                }
                let (row_q, row_p) = (a[q].clone(), a[p].clone());
                for (k, (x, y)) in row_q.into_iter().zip(row_p).enumerate() {
                    (a[q][k], a[p][k]) = (c * x + s * y, c * y - s * x);
                }
            }
        }
    }
    let values = (0..n).map(|k| a[k][k]);
    values.fold((0.0, f64::INFINITY), |(most, least), x| {
        (x.max(most), x.min(least))
    })
}

#[test]
fn matrices_have_the_condition_they_say() {
    always(check::positive_definite(1..5, 50.0), |a| {
        let (most, least) = spectrum(a);
        a == &a.t() && least > 1.0 - 1e-9 && most < 50.0 + 1e-9
    });
    always(check::well_conditioned(1..5, 8.0), |a| {
        let tape = Tape::new();
        let x = tape.leaf(a);
        let square = x.t().matmul(x).value();
        let (most, least) = spectrum(&square);
        least > 1.0 - 1e-9 && most < 64.0 + 1e-9
    });
    assert_eq!(
        simplest(check::positive_definite(2..5, 50.0), |_| true),
        Tensor::eye(2)
    );
    assert_eq!(
        simplest(check::well_conditioned(2..5, 8.0), |_| true),
        Tensor::eye(2)
    );
    // They are not all diagonal, nor all symmetric.
    simplest(check::positive_definite(2..3, 50.0), |a| {
        a[[0, 1]].abs() > 1.0
    });
    simplest(check::well_conditioned(2..3, 50.0), |a| {
        (a[[0, 1]] - a[[1, 0]]).abs() > 1.0
    });
}

#[test]
fn labels_and_rows() {
    always(check::labels(0..6, 3), |y| {
        y.iter().all(|y| (0..3).contains(&y))
    });
    assert_eq!(
        simplest(check::labels(1..6, 3), |y| y.iter().any(|y| y == 2)),
        Tensor::from([2])
    );
    always(check::one_hot(0..6, 3), |y| {
        y.shape()[1] == 3 && y.rows().all(|row| row.iter().sum::<f64>() == 1.0)
    });
}

#[test]
fn models_shrink_to_one_layer_of_zeros() {
    let model = simplest(check::models(2, 3), |_| true);
    assert_eq!((model.len(), model.parameter_count()), (1, 9));
    let model = simplest(check::models(2, 3), |model| model.len() > 2);
    assert_eq!(
        model.parameter_names(),
        ["0.weight", "0.bias", "2.weight", "2.bias"]
    );
    assert!(format!("{model:?}").contains("Tanh"), "{model:?}");
    assert_eq!(model.parameter_count(), (2 + 1) + 3 * 2);
    let outcome = runner().run(&check::models(2, 1), |model| {
        let tape = Tape::inference();
        let x = tape.constant(&Tensor::from([[0.5, -1.0]]));
        prop_assert_eq!(model.forward(x).shape(), Shape::from([1, 1]));
        Ok(())
    });
    outcome.unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn gradients_of_random_models_agree() {
    let mut runner = TestRunner::new(Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    });
    let strategy = (check::models(2, 2), check::tensors([2, 2], -2.0..2.0));
    let outcome = runner.run(&strategy, |(model, x)| {
        check::property(check::model(&model, |model, tape| {
            model.forward(tape.constant(&x)).square().mean()
        }))?;
        Ok(())
    });
    outcome.unwrap_or_else(|fault| panic!("{fault}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_macro_checks_and_rejects_kinks((a, b) in check::broadcastable_tensors(0..=2, 1..3, -2.0..2.0)) {
        let report = prop_assert_gradients!(|[a, b]| a * b.tanh(), [&a, &b]);
        prop_assert_eq!(report.failures().count(), 0);
        let kinked = || -> Result<(), TestCaseError> {
            let zero = Tensor::from([0.0]);
            prop_assert_gradients!(|[x]| x.abs(), [&zero], check::Check::new().order(1));
            Ok(())
        };
        prop_assert!(matches!(kinked(), Err(TestCaseError::Reject(_))));
        let wrong = || -> Result<(), TestCaseError> {
            prop_assert_gradients!(|[x]| x * x.stop_gradient(), [&Tensor::from([1.0])]);
            Ok(())
        };
        prop_assert!(matches!(wrong(), Err(TestCaseError::Fail(_))));
    }
}
