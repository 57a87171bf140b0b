//! The future of a spawn into a pool: it waits to be admitted, then spawns.

use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio_util::sync::CancellationToken;

use crate::{
    context::tree::TaskRecord, error::TaskError, outcome::Outcome, panic::drop_quietly,
    run::future::SupervisedFuture,
};
use crate::{
    pool::result::PoolTask,
    pool::state::{PoolState, SlotKind},
    pool::task::{PoolReporter, make_run, spawn_run},
    tasks::admission::{Admission, AdmissionWait, Refusal},
    tasks::name::task_name,
    tasks::refused::{Closed, LoggedError, SpawnError},
    tasks::spawner::Spawner,
};

/// The future of [`Pool::spawn`](crate::pool::Pool::spawn); it spawns when it is awaited.
///
/// # Cancel safety
///
/// If the future is dropped while it waits, nothing is spawned.
#[must_use = "nothing is spawned until this is awaited"]
pub struct PoolSpawn<'a, T, E, S> {
    pool: &'a Arc<PoolState>,
    place: &'static Location<'static>,
    /// `None` once it is spawned or refused. It is moved as rarely as possible, since it may be large.
    run: Option<S>,
    /// A recycled record of an ended task.
    record: Option<Arc<TaskRecord>>,
    wait: AdmissionWait<'a, NotMade>,
    spawn_fn: SpawnFn<T, E, S>,
    error: fn(TaskError) -> E,
}

/// A function pointer: the bounds on a run are checked where `spawn` is called, and not again at the `.await`.
///
/// It takes the run out of the `Option`.
type SpawnFn<T, E, S> = fn(
    &Arc<PoolState>,
    &mut Option<S>,
    Option<Arc<TaskRecord>>,
    Admission<'_>,
    &'static Location<'static>,
) -> Result<PoolTask<T, E>, Closed>;

/// Why a spawn has no run.
pub(crate) enum NotMade {
    /// The closure panicked, which was logged.
    // Boxed: it is rare, and would make every spawn larger.
    Panicked(Box<TaskError>),
    /// The pool was closed already.
    Closed(Closed),
}

/// The run is pinned only inside its task.
impl<T, E, S> Unpin for PoolSpawn<'_, T, E, S> {}

impl<'a, T, E, S> PoolSpawn<'a, T, E, S>
where
    S: SupervisedFuture<Value = T, Error = E>,
{
    /// `name` is that of a task which has one before its closure is called.
    pub(crate) fn new<F: FnOnce(CancellationToken) -> S>(
        pool: &'a Arc<PoolState>,
        name: Option<&'static str>,
        task: F,
        place: &'static Location<'static>,
        spawn_fn: SpawnFn<T, E, S>,
    ) -> Self {
        let (mut run, mut record) = (None, None);
        let wait = match pool.task_parts(SlotKind::New) {
            None => {
                drop_quietly(task);
                let name = name.unwrap_or_else(task_name::<S, F>);
                AdmissionWait::NotMade(NotMade::Closed(Closed::of_unmade(name)))
            }
            Some((token, recycled)) => {
                record = recycled;
                match make_run(token, task, &mut run) {
                    Ok(spec) => AdmissionWait::New { spec },
                    Err(panicked) => AdmissionWait::NotMade(NotMade::Panicked(Box::new(panicked))),
                }
            }
        };
        Self { pool, place, run, record, wait, spawn_fn, error: S::error }
    }
}

/// Spawns a run that has been admitted.
pub(crate) fn spawn_admitted<S, L>(
    pool: &Arc<PoolState>,
    run: &mut Option<S>,
    record: Option<Arc<TaskRecord>>,
    admission: Admission<'_>,
    place: &'static Location<'static>,
) -> Result<PoolTask<S::Value, S::Error>, Closed>
where
    S: SupervisedFuture<Error: LoggedError>,
    L: Spawner<S, PoolReporter>,
{
    let slot = admission.slot.expect("the slots of a pool are bounded");
    spawn_run::<S, L>(pool, run, record, (slot, admission.permit), place, SlotKind::New)
}

impl<T, E, S> PoolSpawn<'_, T, E, S> {
    fn spawn_run(&mut self, admission: Admission<'_>) -> Result<PoolTask<T, E>, SpawnError> {
        // The token may have been fired since the run was made.
        if self.pool.may_be_cancelled() {
            self.pool.renew_if_cancelled();
        }
        let record = self.record.take();
        Ok((self.spawn_fn)(self.pool, &mut self.run, record, admission, self.place)?)
    }

    #[cold]
    fn refuse(&mut self, refusal: Refusal<NotMade>) -> Result<PoolTask<T, E>, SpawnError> {
        drop_quietly(self.run.take());
        let (outcome, error) = match refusal {
            Refusal::Cancelled => {
                let closed = self.wait.queued_spec().map_or(Closed::NO_TASK, Closed::of);
                (Outcome::Cancelled, closed.into())
            }
            Refusal::Deadlock(rejected) => (Outcome::Rejected, rejected.into()),
            Refusal::NotMade(NotMade::Closed(closed)) => return Err(closed.into()),
            Refusal::NotMade(NotMade::Panicked(panicked)) => {
                return Ok(PoolTask::not_spawned(*panicked, self.error));
            }
        };
        self.wait.finish(outcome);
        Err(error)
    }
}

impl<T, E, S> Future for PoolSpawn<'_, T, E, S> {
    type Output = Result<PoolTask<T, E>, SpawnError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let pool = self.pool;
        Poll::Ready(
            match ready!(self.wait.poll(&pool.slots, &pool.tasks.scope, &pool.closing, cx)) {
                // The pool may have closed since.
                Ok(admission) => {
                    let spawned = self.spawn_run(admission);
                    spawned.inspect_err(|_| {
                        self.wait.finish(Outcome::Cancelled);
                        pool.on_refused();
                    })
                }
                Err(refusal) => self.refuse(refusal).inspect_err(|_| pool.on_refused()),
            },
        )
    }
}

impl<T, E, S> Drop for PoolSpawn<'_, T, E, S> {
    fn drop(&mut self) {
        if let AdmissionWait::Waiting { .. } = self.wait {
            drop_quietly(std::mem::replace(&mut self.wait, AdmissionWait::Done));
        }
        if self.run.is_some() {
            drop_quietly(self.run.take());
        }
    }
}
