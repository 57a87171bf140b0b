//! The failure of a task, without the types of the task.

use std::panic::Location;

use crate::{
    error::Origin,
    outcome::Outcome,
    panic::drop_quietly,
    telemetry::events::{self, FailedScope},
};

/// How a task failed.
pub(crate) struct Failure<E> {
    pub(crate) task: Origin,
    pub(crate) place: &'static Location<'static>,
    pub(crate) outcome: Outcome,
    pub(crate) error: E,
    /// The text of the error, if it is known.
    pub(crate) text: Option<Box<str>>,
}

impl<E> Failure<E> {
    /// Logs a failure that its scope does not return, and drops its error.
    #[cold]
    pub(crate) fn log(self, scope: &FailedScope<'_>, why: &str) {
        let Self { task, place, outcome, error, text } = self;
        events::task_failed(scope, &task.title(), place, outcome, text.as_deref(), why);
        drop_quietly(error);
    }
}
