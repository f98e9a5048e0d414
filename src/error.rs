//! What can be wrong with data that comes from outside.

use std::fmt;

/// What kind of fault an [`Error`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The number of elements does not fit the shape.
    Shape,
    /// A number is out of its range: a label outside the classes, an index outside an axis.
    Range,
    /// Text could not be read as what it should be.
    Parse,
    /// What was asked for by name is not there: a column of a table.
    Missing,
    /// A file could not be read or written.
    Io,
    /// There is not as much memory as is needed.
    Memory,
    /// An iteration did not converge.
    Convergence,
}

/// What could not be allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfMemory {
    pub bytes: usize,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes cannot be allocated", self.bytes)
    }
}

/// A fault in data from outside: what, where, and what was expected.
///
/// ```
/// use wengert::{ErrorKind, Tensor};
/// let error = Tensor::from_vec([2, 2], vec![1.0, 2.0, 3.0]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Shape);
/// assert_eq!(error.to_string(), "from_vec: shape [2, 2] holds 4 elements, but 3 were given");
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A fault of a user's own, for functions that are to return one: a solver that found no solution.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::{ErrorKind, transform::implicit_root};
    /// // The square root by bisection, within bounds that may hold no root.
    /// let solver = |a: Tensor<f64>| {
    ///     let (mut low, mut high) = (0.0, 8.0);
    ///     if !(0.0..64.0).contains(&a.item()) {
    ///         let message = format!("bisection: no root of {} between {low} and {high}", a.item());
    ///         return Err(Error::new(ErrorKind::Range, message));
    ///     }
    ///     for _ in 0..60 {
    ///         let middle = 0.5 * (low + high);
    ///         if middle * middle < a.item() { low = middle } else { high = middle }
    ///     }
    ///     Ok(Tensor::from(low))
    /// };
    /// let tape = Tape::new();
    /// let a = tape.leaf(&Tensor::from(4.0));
    /// let root = implicit_root(solver, |z, a| z * z - a, a)?;
    /// assert!((root.sum().gradient(a).value().item() - 0.25).abs() < 1e-12);
    /// let far = tape.leaf(&Tensor::from(100.0));
    /// let error = implicit_root(solver, |z, a| z * z - a, far).unwrap_err();
    /// assert!(error.to_string().contains("no root of 100 between 0 and 8"), "{error}");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same with the error that caused it, which [`source`](std::error::Error::source) gives.
    ///
    /// ```
    /// use std::error::Error as _;
    /// use wengert::{Error, ErrorKind};
    /// let cause = "x".parse::<f64>().unwrap_err();
    /// let error = Error::new(ErrorKind::Parse, "a setting: a number was expected").caused_by(cause);
    /// assert_eq!(error.source().map(|e| e.to_string()), Some("invalid float literal".into()));
    /// ```
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same with words before what it says.
    pub(crate) fn preceded_by(mut self, words: &str) -> Self {
        self.message.insert_str(0, words);
        self
    }

    /// What kind of fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}
