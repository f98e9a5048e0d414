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
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same with the error that caused it.
    #[cfg_attr(not(feature = "csv"), allow(dead_code))]
    pub(crate) fn caused_by(
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
