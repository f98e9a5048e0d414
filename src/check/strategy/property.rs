//! Checks as properties.

use crate::check::{Failure, Report};
use proptest::test_runner::TestCaseError;

/// What a check says of a case of a property test: a failure fails it, a kink rejects it, since the
/// case says nothing then.
///
/// [`prop_assert_gradients!`](crate::prop_assert_gradients) does it for closures.
///
/// ```
/// use proptest::prelude::*;
/// use wengert::prelude::*;
/// use wengert::check;
///
/// proptest! {
///     #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
///     # fn hidden(_ in 0..1) {}
///     fn my_loss(model in check::models(2, 1), x in check::tensors([3, 2], -2.0..2.0)) {
///         check::property(check::model(&model, |model, tape| {
///             model.forward(tape.constant(&x)).abs().mean()
///         }))?;
///     }
/// }
/// my_loss();
/// ```
///
/// # Errors
/// As said; the message is the report.
pub fn property(outcome: Result<Report, Failure>) -> Result<Report, TestCaseError> {
    let report = outcome.map_err(|failure| TestCaseError::fail(failure.to_string()))?;
    if report.kinks().count() > 0 {
        return Err(TestCaseError::reject("the function has a kink there"));
    }
    Ok(report)
}

/// In a property test: checks the [gradients](crate::check::gradients()) of a function. A failure fails
/// the case with the report, so that it is shrunk; a case at a kink is rejected, so that nothing is
/// shrunk onto a kink.
///
/// `prop_assert_gradients!(f, inputs)`, or `prop_assert_gradients!(f, inputs, check)` with a
/// [`Check`](crate::check::Check) of your own. The value is the [`Report`](crate::check::Report).
///
/// ```
/// use proptest::prelude::*;
/// use wengert::check::{self, Check};
/// use wengert::prop_assert_gradients;
///
/// proptest! {
///     # fn hidden(_ in 0..1) {}
///     fn relu(x in check::tensors([1..4, 1..4], -3.0..3.0)) {
///         prop_assert_gradients!(|[x]| x.relu() * x, [&x]);
///         prop_assert_gradients!(|[x]| x.exp(), [&x], Check::new().order(1));
///     }
/// }
/// relu();
/// ```
#[macro_export]
macro_rules! prop_assert_gradients {
    ($f:expr, $inputs:expr $(,)?) => {
        $crate::prop_assert_gradients!($f, $inputs, $crate::check::Check::new())
    };
    ($f:expr, $inputs:expr, $check:expr $(,)?) => {
        $crate::check::property($crate::check::Check::gradients(&$check, $f, $inputs))?
    };
}
