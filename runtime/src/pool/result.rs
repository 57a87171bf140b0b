//! The result of one task of a pool, from its end until it is taken or logged.
//!
//! A task returns its result to tokio, whose `JoinHandle` the [`PoolTask`] holds. A spawn in statement position drops the
//! `PoolTask` before the task runs: the task then finds itself unawaited, and returns nothing.
//!
//! Invariants
//!
//! 1. A failure is reported once. The task logs it if it finds itself unawaited; otherwise the result logs it when it is
//!    dropped, unless the `PoolTask` has taken it. tokio drops a result that no `JoinHandle` can take.
//! 2. A `PoolTask` is ready once its task has ended, however it ended. Without a result, the task was dropped.
//! 3. A task that finds itself unawaited drops its result before it counts as finished. Otherwise a drain could return
//!    while a value of the pool is alive. (`tests/spec/composition/life.rs`)
//!
//! `result/loom.rs` checks 1 and 2 for every interleaving, `tests/events/pool_tasks.rs` 1,
//! `tests/spec/behaviour/pool_task.rs` 2.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::task::JoinHandle;

use crate::{
    budget,
    cause::Cause,
    context::tree::TaskRecord,
    error::{Cancelled, Origin, TaskError},
    outcome::Outcome,
    panic::{Caught, drop_quietly},
    tasks::handle::TaskHandle,
};

#[cfg(all(test, supervised_loom))]
mod loom;

/// One task of a [`Pool`](crate::Pool), and its result: a future of what the task returns.
///
/// Await it for the result, or drop it: the task continues, and the pool logs its failure. Returned by
/// [`Pool::spawn`](crate::Pool::spawn), [`Pool::try_spawn`](crate::Pool::try_spawn) and
/// [`Slot::spawn`](crate::Slot::spawn).
///
/// ```
/// use std::time::Duration;
/// use tokio_supervised::{CancellationToken, Pool, supervised};
///
/// #[supervised]
/// async fn save(body: String) -> std::io::Result<usize> {
///     Ok(body.len())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::new(100);
/// let saved = pool.spawn(|token| save(token, "a body".into())).await?;
/// // A client that goes away drops this future, not the save.
/// assert_eq!(saved.await?, 6);
///
/// pool.spawn(|token| save(token, "another".into())).await?; // nobody waits: a failure is logged
/// # pool.drain(Duration::from_secs(1)).await?;
/// # Ok(())
/// # }
/// ```
///
/// Each failure is reported once. A `PoolTask` that is polled to completion returns it. If the `PoolTask` is dropped
/// first, the failure is logged once the task has ended. (A panic is always logged, where it was caught.)
///
/// # Errors
///
/// The error of the task. A [`Cancelled`] if the task was dropped: its handle or its pool aborted it, or its runtime is
/// gone. A `Panicked` if the closure of the spawn has panicked.
///
/// # Panics
///
/// If it is polled again after it has finished, as tokio's [`JoinHandle`]. If the error of the task could not be converted: its
/// `From<TaskError>` panics, and panics again for that panic.
///
/// # Cancel safety
///
/// Dropping it lets the task continue. Polled through `&mut`, in a `select!`, it loses nothing.
pub struct PoolTask<T, E> {
    state: State<T, E>,
    /// Converts the error of a task that was dropped.
    error: fn(TaskError) -> E,
}

enum State<T, E> {
    Spawned {
        task: JoinHandle<Output<T, E>>,
        record: Arc<TaskRecord>,
    },
    /// The closure of the spawn has panicked; the panic was logged.
    NotSpawned(Box<TaskError>),
    /// The result was taken.
    Finished(TaskHandle),
}

/// What the task of a pool returns to tokio: nothing if it was dropped, or if nobody awaits it.
///
/// Boxed, since most tasks are not awaited: it is neither stored nor moved there.
pub(crate) type Output<T, E> = Option<Box<Untaken<T, E>>>;

/// The result of a task, which logs a failure when it is dropped.
pub(crate) struct Untaken<T, E> {
    result: Option<TaskResult<T, E>>,
    record: Arc<TaskRecord>,
    outcome: Outcome,
    /// The text of the error, if it is known.
    text: Option<Box<str>>,
    log: LogFailure<E>,
}

enum TaskResult<T, E> {
    Value(T),
    Error(E),
    /// The error of the task could not be converted.
    Unconvertible(Caught),
}

/// Logs the failure of a task.
pub(crate) type LogFailure<E> = fn(&TaskRecord, Outcome, &E, Option<Box<str>>);

/// Returns the result of a task that has ended, or logs its failure if nobody awaits it.
pub(crate) fn report<T, E>(
    record: &Arc<TaskRecord>,
    outcome: Outcome,
    result: Result<T, E>,
    text: Option<Box<str>>,
    log: LogFailure<E>,
) -> Output<T, E> {
    if !record.control().is_unawaited() {
        return Some(untaken(record, outcome, result, text, log));
    }
    match result {
        Ok(value) => drop_quietly(value),
        Err(error) => {
            log(record, outcome, &error, text);
            drop_quietly(error);
        }
    }
    None
}

// Not inlined: most tasks are not awaited.
#[inline(never)]
fn untaken<T, E>(
    record: &Arc<TaskRecord>,
    outcome: Outcome,
    result: Result<T, E>,
    text: Option<Box<str>>,
    log: LogFailure<E>,
) -> Box<Untaken<T, E>> {
    let result = match result {
        Ok(value) => TaskResult::Value(value),
        Err(error) => TaskResult::Error(error),
    };
    Box::new(Untaken { result: Some(result), record: record.clone(), outcome, text, log })
}

/// The same for a task whose error could not be converted, which its pool has reported.
#[cold]
pub(crate) fn report_unconvertible<T, E>(
    record: &Arc<TaskRecord>,
    caught: Caught,
    log: LogFailure<E>,
) -> Output<T, E> {
    if record.control().is_unawaited() {
        drop_quietly(caught);
        return None;
    }
    let result = Some(TaskResult::Unconvertible(caught));
    let (record, outcome) = (record.clone(), Outcome::Panicked);
    Some(Box::new(Untaken { result, record, outcome, text: None, log }))
}

impl<T, E> Untaken<T, E> {
    /// # Panics
    ///
    /// With the panic of the error conversion.
    pub(crate) fn take(mut self) -> Result<T, E> {
        match self.result.take().expect("a result is taken once, by value") {
            TaskResult::Value(value) => Ok(value),
            TaskResult::Error(error) => Err(error),
            TaskResult::Unconvertible(caught) => caught.resume(),
        }
    }
}

impl<T, E> Drop for Untaken<T, E> {
    fn drop(&mut self) {
        match self.result.take() {
            None => {}
            Some(TaskResult::Value(value)) => drop_quietly(value),
            Some(TaskResult::Error(error)) => {
                (self.log)(&self.record, self.outcome, &error, self.text.take());
                drop_quietly(error);
            }
            Some(TaskResult::Unconvertible(caught)) => drop_quietly(caught),
        }
    }
}

impl<T, E> PoolTask<T, E> {
    #[inline]
    pub(crate) fn new(
        task: JoinHandle<Output<T, E>>,
        record: Arc<TaskRecord>,
        error: fn(TaskError) -> E,
    ) -> Self {
        Self { state: State::Spawned { task, record }, error }
    }

    /// A task that was not spawned: the closure of the spawn has panicked.
    #[cold]
    pub(crate) fn not_spawned(panicked: TaskError, error: fn(TaskError) -> E) -> Self {
        Self { state: State::NotSpawned(Box::new(panicked)), error }
    }

    /// A handle of the task, which cancels it alone.
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        match &self.state {
            State::Spawned { record, .. } => handle_of(record),
            State::NotSpawned(panicked) => {
                TaskHandle::refused(Origin::from(panicked.task()), panicked.outcome())
            }
            State::Finished(handle) => handle.clone(),
        }
    }
}

fn handle_of(record: &Arc<TaskRecord>) -> TaskHandle {
    TaskHandle::new(record.clone(), record.label())
}

/// The error of a task that was dropped before its run had ended.
#[cold]
fn cancelled(record: &TaskRecord) -> TaskError {
    let scope = record.scope();
    let cause = if record.control().requests().is_by_handle() {
        Cause::Handle
    } else if scope.is_stopping() {
        scope.cause().unwrap_or(Cause::Token)
    } else {
        Cause::RuntimeGone
    };
    TaskError::Cancelled(Cancelled::new(record.origin(), cause))
}

impl<T, E> Future for PoolTask<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let joined = match &mut this.state {
            State::Spawned { task, .. } => ready!(Pin::new(task).poll(cx)),
            State::NotSpawned(_) => {
                ready!(budget::spend(cx));
                Ok(None)
            }
            State::Finished(_) => panic!("a `PoolTask` was polled after completion"),
        };
        let finished = State::Finished(this.handle());
        // Only the panic of a conversion unwinds from here on.
        let error = match (joined, std::mem::replace(&mut this.state, finished)) {
            (Ok(Some(untaken)), _) => return Poll::Ready(untaken.take()),
            (_, State::NotSpawned(panicked)) => *panicked,
            (_, State::Spawned { record, .. }) => cancelled(&record),
            (_, State::Finished(_)) => unreachable!("checked above"),
        };
        Poll::Ready(Err((this.error)(error)))
    }
}

impl<T, E> Drop for PoolTask<T, E> {
    #[inline]
    fn drop(&mut self) {
        if let State::Spawned { record, .. } = &self.state {
            // Before tokio learns of it: a task that ends now logs its failure, or tokio drops its result.
            record.control().set_unawaited();
        }
    }
}

impl<T, E> fmt::Debug for PoolTask<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolTask").field("handle", &self.handle()).finish()
    }
}
