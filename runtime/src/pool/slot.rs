//! A slot of a pool, reserved before the work is accepted.

use std::{fmt, panic::Location, sync::Arc};

use crate::{
    context::tree::TaskRecord, function::limit, function::limit::Permit,
    run::future::SupervisedFuture,
};
use crate::{
    pool::result::PoolTask,
    pool::state::{Handle, SlotKind, TaskParts},
    pool::task::{make_run, spawn_run},
    tasks::refused::LoggedError,
    tasks::spawner::OnWorkers,
};
use tokio_util::sync::CancellationToken;

/// A slot of a [`Pool`](crate::Pool), reserved by [`reserve`](crate::pool::Pool::reserve).
///
/// Reserve it before you accept work: work that has a slot is done, even if the pool closes meanwhile, since a drain
/// waits for it. Dropping it unused releases the slot. It keeps the pool alive as a handle does.
///
/// ```
/// # use tokio_supervised::{Pool, TaskError, supervised};
/// # #[supervised]
/// # async fn save(_body: String) -> Result<(), TaskError> { Ok(()) }
/// # async fn read_body() -> String { String::new() }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::new(100);
/// let slot = pool.reserve().await?;
/// let body = read_body().await; // accepted: there is room for it
/// slot.spawn(|token| save(token, body));
/// # pool.drain(std::time::Duration::from_secs(1)).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a slot that is dropped is released"]
pub struct Slot {
    pool: Arc<Handle>,
    is_used: bool,
}

impl Slot {
    pub(crate) fn new(pool: Arc<Handle>, slot: limit::Slot<'_>) -> Self {
        slot.keep();
        Self { pool, is_used: false }
    }

    /// Spawns at once, even if the pool has closed in the meantime. Returns the task, which can be awaited or dropped.
    ///
    /// The closure is called with the pool's token, see [`Pool::spawn`](crate::pool::Pool::spawn). If the function has
    /// a limit, the task waits for the permit. A panic of the closure is reported like a panic of a task, and the slot
    /// is free again. Keep a handle of the pool: if the slot was the last reference to it, the task is aborted as soon
    /// as it is spawned.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The task is spawned by the call. Dropping the `PoolTask` lets it continue.
    #[track_caller]
    pub fn spawn<S, F>(self, task: F) -> PoolTask<S::Value, S::Error>
    where
        F: FnOnce(CancellationToken) -> S,
        S: SupervisedFuture + Send + 'static,
        S::Value: Send + 'static,
        S::Error: LoggedError + Send + 'static,
    {
        let place = Location::caller();
        let (token, record) = self.task_parts();
        let mut run = None;
        match make_run(token, task, &mut run) {
            Ok(_) => self.spawn_run(&mut run, record, None, place),
            Err(panicked) => PoolTask::not_spawned(panicked, S::error),
        }
    }

    pub(crate) fn task_parts(&self) -> TaskParts {
        let parts = self.pool.shared.task_parts(SlotKind::Reserved);
        parts.expect("a reserved slot is accepted work")
    }

    /// Spawns a run, with its permit unless the run waits for that itself.
    pub(crate) fn spawn_run<S>(
        mut self,
        run: &mut Option<S>,
        record: Option<Arc<TaskRecord>>,
        permit: Option<Permit>,
        place: &'static Location<'static>,
    ) -> PoolTask<S::Value, S::Error>
    where
        S: SupervisedFuture<Value: Send + 'static, Error: LoggedError + Send + 'static>
            + Send
            + 'static,
    {
        self.is_used = true;
        let pool = &self.pool.shared;
        let admission = (pool.limit.kept(), permit);
        spawn_run::<S, OnWorkers>(pool, run, record, admission, place, SlotKind::Reserved)
            .expect("a reserved slot is accepted work")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.is_used {
            self.pool.shared.unreserve();
            drop(self.pool.shared.limit.kept());
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}
