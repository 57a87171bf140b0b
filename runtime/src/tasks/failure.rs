//! The failure of a task, without the types of the task.

use std::panic::Location;

use crate::outcome::Outcome;

/// How a task failed.
pub(crate) struct Failure<E> {
    pub(crate) task: &'static str,
    pub(crate) place: &'static Location<'static>,
    pub(crate) outcome: Outcome,
    pub(crate) error: E,
    /// The text of the error, if it is known.
    pub(crate) text: Option<Box<str>>,
}
