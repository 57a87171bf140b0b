//! Why a worker ended.

use std::{error::Error, fmt, io};

use tokio_supervised::{TaskError, Unfinished};

use crate::queue::BoxError;

/// A setting of the worker and one of the broker contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    setting: &'static str,
    problem: String,
    help: String,
}

impl SettingError {
    /// Names the setting, the problem with it, and what to write instead.
    ///
    /// ```
    /// use tokio_supervised_worker::SettingError;
    ///
    /// let error = SettingError::new("ack_wait", "1 s is below the progress interval of 5 s", "write `.progress(…)`");
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`ack_wait`: 1 s is below the progress interval of 5 s\nhelp: write `.progress(…)`"
    /// );
    /// ```
    #[must_use]
    pub fn new(setting: &'static str, problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { setting, problem: problem.into(), help: help.into() }
    }

    /// The name of the setting, as the broker documents it.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}\nhelp: {}", self.setting, self.problem, self.help)
    }
}

impl Error for SettingError {}

/// Why [`Worker::run`](crate::Worker::run) failed.
///
/// An absent broker is none of the reasons: the worker waits for it.
#[derive(Debug)]
#[non_exhaustive]
pub enum WorkerError {
    /// Settings contradict each other. Nothing was pulled since the last connection, and earlier messages were drained.
    Setting(SettingError),
    /// Some messages did not finish within the drain: the broker delivers them again. Takes precedence over the other
    /// reasons.
    ///
    /// An error that carries it ends [`#[supervised::main]`](macro@tokio_supervised::supervised::main) with exit code
    /// 75.
    Unfinished(Unfinished),
    /// The broker did not confirm the end of so many messages after the token had fired: it may deliver them again.
    Unsettled(usize),
    /// The queue could not be closed in order: it may deliver some settled messages again.
    Close(BoxError),
    /// The supervised function that runs the worker was cancelled, timed out or panicked.
    Task(TaskError),
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(_) => f.write_str("the settings of the worker contradict each other"),
            Self::Unfinished(_) => f.write_str("the worker did not drain in time"),
            Self::Unsettled(count) => write!(
                f,
                "the broker did not confirm the end of {count} message{}",
                if *count == 1 { "" } else { "s" }
            ),
            Self::Close(_) => f.write_str("the queue could not be closed in order"),
            Self::Task(error) => error.fmt(f),
        }
    }
}

impl Error for WorkerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Setting(error) => Some(error),
            Self::Unfinished(error) => Some(error),
            Self::Unsettled(_) => None,
            Self::Close(error) => Some(&**error),
            // Transparent: the text is the error's.
            Self::Task(error) => error.source(),
        }
    }
}

/// For a `#[supervised]` function that returns the result of its worker.
impl From<TaskError> for WorkerError {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}

impl From<WorkerError> for io::Error {
    fn from(error: WorkerError) -> Self {
        Self::other(error)
    }
}
