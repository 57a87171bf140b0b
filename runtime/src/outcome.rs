//! How a run ends.

use std::fmt;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The body returned `()` or `Ok`.
    Ok,
    /// The body returned an `Err`.
    Error,
    /// The body panicked, or its drop did.
    Panicked,
    /// The run's own token had fired, and the body was dropped or returned an error that carries
    /// [`TaskError::Cancelled`](crate::error::TaskError::Cancelled).
    Cancelled,
    /// The body took longer than its `timeout` and was dropped.
    TimedOut,
    /// The function was at its `limit` with `on_full = "reject"`, or the run would have deadlocked itself.
    Rejected,
    /// The owner of the run dropped or aborted it, and its own token had not fired: a losing `select!` branch, an
    /// `abort`.
    Dropped,
}

impl Outcome {
    /// Every outcome, in display order.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Error,
        Self::Panicked,
        Self::Cancelled,
        Self::TimedOut,
        Self::Rejected,
        Self::Dropped,
    ];

    /// The name, in lower case: `ok`, `timed_out`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Panicked => "panicked",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Rejected => "rejected",
            Self::Dropped => "dropped",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
