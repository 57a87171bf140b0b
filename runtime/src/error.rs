//! What a supervised function's boundary can say instead of a value.

use std::{fmt, io, time::Duration};

use crate::{Cause, Outcome, Panic};

/// Why a run gave no value of its own.
///
/// A supervised function returns it as its declared error: `E: From<TaskError>`.
///
/// Its `source` is the inner struct, with the same text: a report of the whole chain shows the text twice.
///
/// ```
/// # use tokio_supervised::{supervised, CancellationToken, TaskError};
/// #[supervised]
/// async fn divide(a: u32, b: u32) -> Result<u32, TaskError> {
///     Ok(a / b)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let token = CancellationToken::new();
/// let error = divide(&token, 1, 0).await.unwrap_err();
/// assert!(matches!(error, TaskError::Panicked(_)));
/// assert_eq!(error.task(), "divide");
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// The body panicked.
    Panicked(Panic),
    /// The token fired.
    Cancelled(Cancelled),
    /// The body took longer than its `timeout`.
    TimedOut(TimedOut),
    /// The run was refused.
    Rejected(Rejected),
}

impl TaskError {
    /// The task's `name`.
    #[must_use]
    pub fn task(&self) -> &'static str {
        match self {
            Self::Panicked(panic) => panic.task(),
            Self::Cancelled(cancelled) => cancelled.task,
            Self::TimedOut(timed_out) => timed_out.task,
            Self::Rejected(rejected) => rejected.task,
        }
    }

    /// How the run ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Panicked(_) => Outcome::Panicked,
            Self::Cancelled(_) => Outcome::Cancelled,
            Self::TimedOut(_) => Outcome::TimedOut,
            Self::Rejected(_) => Outcome::Rejected,
        }
    }

    fn inner(&self) -> &(dyn std::error::Error + 'static) {
        match self {
            Self::Panicked(panic) => panic,
            Self::Cancelled(cancelled) => cancelled,
            Self::TimedOut(timed_out) => timed_out,
            Self::Rejected(rejected) => rejected,
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.inner(), f)
    }
}

impl std::error::Error for TaskError {
    /// The inner struct, so that it is found in the chain of an enum that is transparent over this one.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.inner())
    }
}

/// `TimedOut` keeps its kind; everything else is `Other` (`Interrupted` would make callers try again).
impl From<TaskError> for io::Error {
    fn from(error: TaskError) -> Self {
        let kind = match error {
            TaskError::TimedOut(_) => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// The token of a run had fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    task: &'static str,
    cause: Cause,
}

impl Cancelled {
    pub(crate) fn new(task: &'static str, cause: Cause) -> Self {
        Self { task, cause }
    }

    /// The task's `name`.
    #[must_use]
    pub fn task(&self) -> &'static str {
        self.task
    }

    /// Why: what the nearest enclosing group, `map` or main says that was cancelled, else
    /// [`Cause::Token`].
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task `{}` was cancelled: {}", self.task, self.cause)
    }
}

impl std::error::Error for Cancelled {}

/// A run took longer than its `timeout`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedOut {
    task: &'static str,
    timeout: Duration,
}

impl TimedOut {
    pub(crate) fn new(task: &'static str, timeout: Duration) -> Self {
        Self { task, timeout }
    }

    /// The task's `name`.
    #[must_use]
    pub fn task(&self) -> &'static str {
        self.task
    }

    /// The time that the run had.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task `{}` timed out after {:?}", self.task, self.timeout)
    }
}

impl std::error::Error for TimedOut {}

/// A run was refused before it began: its function was at its `limit`, with `on_full = "reject"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    task: &'static str,
    limit: usize,
}

impl Rejected {
    pub(crate) fn new(task: &'static str, limit: usize) -> Self {
        Self { task, limit }
    }

    /// The task's `name`.
    #[must_use]
    pub fn task(&self) -> &'static str {
        self.task
    }

    /// The limit that was reached.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task `{}` was rejected: all {} permits are taken", self.task, self.limit)
    }
}

impl std::error::Error for Rejected {}
