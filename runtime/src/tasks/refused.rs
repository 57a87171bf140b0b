//! The errors of a refused spawn, and the trait bound on the errors of a pool's tasks.

use std::{fmt, io};

use crate::{
    error::{Cancelled, GROUP_JOINED, Origin, POOL_CLOSED, Rejected, TaskError},
    function::TaskSpec,
};

/// The pool is closed: it was drained, its last handle was dropped, or the token of
/// [`Pool::stop_with`](crate::Pool::stop_with) fired.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Closed {
    task: Option<RefusedTask>,
}

/// What is known of a task that was refused.
#[derive(Clone, Copy)]
enum RefusedTask {
    Function(&'static TaskSpec),
    /// Its closure was not called.
    Unmade(&'static str),
}

impl Closed {
    /// The refusal of a reservation.
    pub(crate) const NO_TASK: Self = Self { task: None };

    pub(crate) fn of(spec: &'static TaskSpec) -> Self {
        Self { task: Some(RefusedTask::Function(spec)) }
    }

    /// The refusal of a task that is named after its closure.
    pub(crate) fn of_unmade(name: &'static str) -> Self {
        Self { task: Some(RefusedTask::Unmade(name)) }
    }

    fn origin(self) -> Option<Origin> {
        self.task.map(|task| match task {
            RefusedTask::Function(spec) => Origin::from(spec),
            RefusedTask::Unmade(name) => Origin::from(name),
        })
    }
}

impl fmt::Debug for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin() {
            None => f.write_str("Closed"),
            Some(task) => f.debug_tuple("Closed").field(&task).finish(),
        }
    }
}

impl PartialEq for Closed {
    fn eq(&self, other: &Self) -> bool {
        self.origin() == other.origin()
    }
}

impl Eq for Closed {}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(POOL_CLOSED)
    }
}

impl std::error::Error for Closed {}

/// Why [`Pool::spawn`](crate::pool::Pool::spawn), [`Pool::reserve`](crate::pool::Pool::reserve) or
/// [`GroupHandle::spawn`](crate::group::GroupHandle::spawn) did nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpawnError {
    /// The pool is closed, or was while the call waited.
    Closed(Closed),
    /// The group was joined: all of its tasks have ended.
    Joined,
    /// The group is cancelled: its token fired, one of its tasks failed, or it was dropped.
    Cancelled(Cancelled),
    /// Waiting would be a self-deadlock: the calling task holds the permit or slot that the call needs.
    Rejected(Rejected),
}

impl From<Closed> for SpawnError {
    fn from(closed: Closed) -> Self {
        Self::Closed(closed)
    }
}

impl From<Rejected> for SpawnError {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

/// A closed pool and a joined group reject the task. The error of a reservation and that of a joined group name no
/// task: [`task`](TaskError::task) returns `unknown`.
impl From<SpawnError> for TaskError {
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            SpawnError::Rejected(rejected) => Self::Rejected(rejected),
            SpawnError::Closed(closed) => Self::Rejected(Rejected::pool_closed(closed.origin())),
            SpawnError::Joined => Self::Rejected(Rejected::group_joined()),
        }
    }
}

/// Its kind is `Other`: `Interrupted` would make callers try again.
impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> Self {
        Self::other(error)
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(closed) => fmt::Display::fmt(closed, f),
            Self::Joined => f.write_str(GROUP_JOINED),
            Self::Cancelled(cancelled) => fmt::Display::fmt(cancelled, f),
            Self::Rejected(rejected) => fmt::Display::fmt(rejected, f),
        }
    }
}

impl std::error::Error for SpawnError {
    /// Returns the place where the refused function is defined, if a function was refused.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Closed(_) | Self::Joined => None,
            Self::Cancelled(cancelled) => cancelled.source(),
            Self::Rejected(rejected) => rejected.source(),
        }
    }
}

/// Why [`Pool::try_spawn`](crate::pool::Pool::try_spawn) did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySpawnError {
    /// The pool has no free slot, or the function has no free permit. A server would answer 503.
    Full,
    /// The pool is closed.
    Closed,
}

impl From<Closed> for TrySpawnError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// Its kind is `Other`: `WouldBlock` would make callers wait for a socket.
impl From<TrySpawnError> for io::Error {
    fn from(error: TrySpawnError) -> Self {
        Self::other(error)
    }
}

impl fmt::Display for TrySpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the pool has no free slot, or the function no free permit"),
            Self::Closed => f.write_str(POOL_CLOSED),
        }
    }
}

impl std::error::Error for TrySpawnError {}

/// [`Pool::set_limit`](crate::pool::Pool::set_limit) was given 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZeroLimit;

impl fmt::Display for ZeroLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the limit of a pool must not be 0: no task could run")
    }
}

impl std::error::Error for ZeroLimit {}

/// An error that a pool can log: anything with `Display`.
///
/// Implemented for every type with `Display`.
#[diagnostic::on_unimplemented(
    message = "a pool logs the failures of its tasks, and `{Self}` does not implement `Display`",
    label = "no `Display`",
    note = "implement `Display` for it, or convert it into an error that does: `|token| save(token).err_into::<SaveError>()`"
)]
pub trait LoggedError: fmt::Display {}

#[diagnostic::do_not_recommend]
impl<E: fmt::Display> LoggedError for E {}
