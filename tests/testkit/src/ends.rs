//! How the body of a task ends: one vocabulary for random programs, schedules, faults and the soak.
//!
//! `tests/schedules` compiles this file a second time, with its own `std` and `tokio`.

use std::fmt;

use tokio_supervised::{Outcome, TaskError};

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its value.
    Ok,
    /// With [`Failed::Own`].
    Error,
    /// By a panic.
    Panic,
    /// With its value, once its token has fired.
    OnCancel,
    /// Not by itself.
    Never,
}

/// The script of a body: a number of turns, then its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Act {
    pub turns: usize,
    pub end: End,
}

impl Act {
    pub const ON_CANCEL: Self = Self { turns: 0, end: End::OnCancel };
    pub const NEVER: Self = Self { turns: 0, end: End::Never };

    pub const fn ok(turns: usize) -> Self {
        Self { turns, end: End::Ok }
    }

    pub const fn error(turns: usize) -> Self {
        Self { turns, end: End::Error }
    }

    pub const fn panic(turns: usize) -> Self {
        Self { turns, end: End::Panic }
    }
}

/// The error of the bodies.
#[derive(Debug)]
pub enum Failed {
    /// The body's own.
    Own {
        /// Which body.
        number: usize,
        /// Whether its token had fired.
        after_cancel: bool,
    },
    /// The runtime's.
    Task(TaskError),
}

impl Failed {
    pub fn own(number: usize) -> Self {
        Self::Own { number, after_cancel: false }
    }

    /// The outcome that the caller of a failed run expects in the counters.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Own { .. } => Outcome::Error,
            Self::Task(TaskError::Panicked(_)) => Outcome::Panicked,
            Self::Task(TaskError::Cancelled(_)) => Outcome::Cancelled,
            Self::Task(TaskError::TimedOut(_)) => Outcome::TimedOut,
            Self::Task(TaskError::Rejected(_)) => Outcome::Rejected,
            Self::Task(other) => panic!("an unknown error: {other}"),
        }
    }
}

impl From<TaskError> for Failed {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own { number, .. } => write!(f, "body {number} fails as asked"),
            Self::Task(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Own { .. } => None,
            Self::Task(error) => Some(error),
        }
    }
}
