//! The handle of one task.

use std::{fmt, sync::Arc};

use tokio::task::Id;

use crate::{
    budget,
    context::tree::TaskRecord,
    error::Origin,
    outcome::Outcome,
    tuning::{Label, TaskTitle},
};

/// A handle to one task of a [`Group`](crate::Group) or a [`Pool`](crate::Pool): cancels it alone, and waits for its end.
///
/// Returned by [`Group::spawn`](crate::Group::spawn) and [`PoolTask::handle`](crate::PoolTask::handle). It does not own
/// the task: dropping it changes nothing. Of a task that has ended, it keeps the name, the label, the outcome and a few
/// hundred bytes.
///
/// A task that its handle has stopped is no failure: its group continues, and the `join` has no value for it. A pool logs
/// it at `DEBUG`, and a drain does not return it as cut.
///
/// ```
/// use tokio_supervised::{CancellationToken, Group, Outcome, TaskError, supervised};
///
/// #[supervised]
/// async fn watch(token: CancellationToken, path: &'static str) -> Result<&'static str, TaskError> {
///     token.cancelled().await;
///     Ok(path)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TaskError> {
/// let group = Group::new(&CancellationToken::new());
/// let first = group.spawn(|token| watch(token, "/etc").label("/etc")).await;
/// let second = group.spawn(|token| watch(token, "/var")).await;
/// tokio::task::yield_now().await; // both start
///
/// assert_eq!((first.name(), first.label()), ("watch", Some("/etc")));
/// first.cancel();
/// assert_eq!(first.ended().await, Outcome::Ok); // it returned by itself: the group keeps its value
/// second.abort();
/// assert_eq!(second.ended().await, Outcome::Dropped);
/// assert_eq!(group.join().await?, ["/etc"]);
/// # Ok(())
/// # }
/// ```
///
/// Clones refer to the same task. Any thread may use them: each call takes a short lock at most.
#[derive(Clone)]
pub struct TaskHandle(Inner);

#[derive(Clone)]
enum Inner {
    Spawned { record: Arc<TaskRecord>, label: Option<Label> },
    Refused(Arc<Refused>),
}

/// A spawn that spawned nothing.
struct Refused {
    task: Origin,
    outcome: Outcome,
}

impl TaskHandle {
    #[inline]
    pub(crate) fn new(record: Arc<TaskRecord>, label: Option<Label>) -> Self {
        Self(Inner::Spawned { record, label })
    }

    /// The handle of a task that was not spawned.
    #[cold]
    pub(crate) fn refused(task: Origin, outcome: Outcome) -> Self {
        Self(Inner::Refused(Arc::new(Refused { task, outcome })))
    }

    fn record(&self) -> Option<&TaskRecord> {
        match &self.0 {
            Inner::Spawned { record, .. } => Some(record),
            Inner::Refused(_) => None,
        }
    }

    fn title(&self) -> TaskTitle<'_> {
        match &self.0 {
            Inner::Spawned { record, label } => {
                TaskTitle { name: record.spec().name(), label: label.as_ref().map(Label::as_str) }
            }
            Inner::Refused(refused) => refused.task.title(),
        }
    }

    /// The task's tokio id, also after its end; `None` if nothing was spawned.
    #[must_use]
    pub fn id(&self) -> Option<Id> {
        self.record()?.id()
    }

    /// The `name` of the task's function.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.title().name
    }

    /// The text that [`Supervised::label`](crate::Supervised::label) gave its call; `None` if nothing was spawned.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.title().label
    }

    /// Cancels the task, and no other: its error is a [`Cancelled`](crate::Cancelled) with the cause
    /// [`Handle`](crate::Cause::Handle).
    ///
    /// If its body takes the token, the body's token fires before this returns. Otherwise the run is dropped at its next
    /// `.await`, or after its grace if it has `on_cancel = "cooperate"`. A task that was not polled yet never starts; a
    /// restarting one starts no further run. A task that was cancelled before keeps its cause.
    ///
    /// Does nothing if the task has ended.
    pub fn cancel(&self) {
        self.record().into_iter().for_each(TaskRecord::cancel_by_handle);
    }

    /// Drops the task at its next `.await`, without a grace.
    ///
    /// Its run is counted as [`Dropped`](Outcome::Dropped), or as `Cancelled` if it was cancelled before. A closure of
    /// `spawn_blocking` that has started cannot be aborted. Does nothing if the task has ended.
    pub fn abort(&self) {
        self.record().into_iter().for_each(TaskRecord::abort_by_handle);
    }

    /// Whether the task has ended: its values are dropped, and its slot is free. True if nothing was spawned.
    ///
    /// It may follow the return of a `join` or a `drain` by a moment; [`ended`](Self::ended) waits for it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.record().is_none_or(|record| record.control().outcome().is_some())
    }

    /// Whether nothing was spawned: the group was cancelled, the wait would have been a self-deadlock, or the closure of
    /// the spawn panicked.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.0, Inner::Refused(_))
    }

    /// Waits until the task has ended, and returns how: with the outcome that its function has counted.
    ///
    /// A task whose runtime is gone ends as `Dropped`. If nothing was spawned, returns at once: `Cancelled`, `Rejected`
    /// or `Panicked`. A task that waits for its own end waits until it is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing: call it again.
    pub async fn ended(&self) -> Outcome {
        budget::spent().await;
        match &self.0 {
            Inner::Spawned { record, .. } => record.control().ended().await,
            Inner::Refused(refused) => refused.outcome,
        }
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle")
            .field("task", &self.name())
            .field("label", &self.label())
            .field("id", &self.id())
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
