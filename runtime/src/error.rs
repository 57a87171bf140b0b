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

/// A run was refused before it began: its function was at its `limit`, with `on_full = "reject"`; or it
/// would have waited for itself.
///
/// A run waits for itself where it, or a run that awaits it, holds the permit or the slot that it would
/// wait for, through inline calls, `map` and `Group`. It would hang, at once or under load; it is
/// refused instead. Where a permit is free it is simply taken. What to do about it:
/// [Recursion, and limits](macro@crate::supervised#recursion-and-limits).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    task: &'static str,
    limit: usize,
    itself: Option<Box<Itself>>,
}

/// How a run would have waited for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Itself {
    chain: Box<[&'static str]>,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Permit,
    Slot,
}

impl Rejected {
    pub(crate) fn full(task: &'static str, limit: usize) -> Self {
        Self { task, limit, itself: None }
    }

    pub(crate) fn waits_for_permit(
        task: &'static str,
        limit: usize,
        chain: Box<[&'static str]>,
    ) -> Self {
        Self { task, limit, itself: Some(Box::new(Itself { chain, what: What::Permit })) }
    }

    pub(crate) fn waits_for_slot(
        task: &'static str,
        limit: usize,
        chain: Box<[&'static str]>,
    ) -> Self {
        Self { task, limit, itself: Some(Box::new(Itself { chain, what: What::Slot })) }
    }

    /// The task's `name`.
    #[must_use]
    pub fn task(&self) -> &'static str {
        self.task
    }

    /// The limit that was reached: of the function, or of the scope whose slot it would have waited for.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Where the run would have waited for itself: the names from the run that holds what it would have
    /// waited for, through those that await each other, to the refused one. Empty otherwise.
    ///
    /// ```
    /// # use tokio_supervised::{supervised, CancellationToken, TaskError};
    /// #[supervised(limit = 1)]
    /// async fn walk(token: &CancellationToken, depth: u32) -> Result<u32, TaskError> {
    ///     if depth == 0 { Ok(0) } else { Ok(1 + Box::pin(walk(token, depth - 1)).await?) }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = walk(&CancellationToken::new(), 3).await.unwrap_err();
    /// let TaskError::Rejected(rejected) = error else { panic!("{error}") };
    /// assert_eq!(rejected.chain(), ["walk", "walk"]);
    /// # }
    /// ```
    #[must_use]
    pub fn chain(&self) -> &[&'static str] {
        self.itself.as_ref().map_or(&[], |itself| &itself.chain)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, limit, itself } = self;
        write!(f, "task `{task}` was rejected: ")?;
        let Some(itself) = itself else {
            return match limit {
                1 => write!(f, "its only permit is taken"),
                _ => write!(f, "all {limit} permits are taken"),
            };
        };
        write!(f, "it would wait for itself (")?;
        for (at, name) in itself.chain.iter().enumerate() {
            let arrow = if at == 0 { "" } else { " -> " };
            write!(f, "{arrow}`{name}`")?;
        }
        match (itself.what, limit) {
            (What::Permit, 1) => write!(f, "): the only permit of `{task}` is taken"),
            (What::Permit, _) => write!(f, "): all {limit} permits of `{task}` are taken"),
            (What::Slot, 1) => write!(f, "): the only slot of their scope is taken"),
            (What::Slot, _) => write!(f, "): all {limit} slots of their scope are taken"),
        }
    }
}

impl std::error::Error for Rejected {}
