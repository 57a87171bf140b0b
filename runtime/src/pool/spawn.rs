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
    budget, context::tree::TaskRecord, function::TaskSpec, outcome::Outcome, panic::drop_quietly,
    run::future::SupervisedFuture,
};
use crate::{
    pool::state::{PoolState, SlotKind},
    pool::task::{PreparedRun, make_run, spawn_run},
    tasks::admission::{Admission, QueuedRun, Refusal},
    tasks::refused::{Closed, LoggedError, SpawnError},
    tasks::spawner::Spawner,
};

/// The future of [`Pool::spawn`](crate::pool::Pool::spawn); it spawns when it is awaited.
///
/// # Cancel safety
///
/// Dropped while it waits, it has spawned nothing.
#[must_use = "nothing is spawned until this is awaited"]
pub struct PoolSpawn<'a, S> {
    pool: &'a Arc<PoolState>,
    place: &'static Location<'static>,
    /// There until it is spawned or refused; moved as seldom as can be, since it may be large.
    run: Option<S>,
    /// What an ended task has left.
    record: Option<Arc<TaskRecord>>,
    state: SpawnState<'a>,
    spawn_fn: SpawnFn<S>,
}

/// A pointer, so that what a run must be to be spawned is asked at the spawn, and not at its `.await` again.
///
/// It takes the run out of its place.
type SpawnFn<S> = fn(
    &Arc<PoolState>,
    &mut Option<S>,
    Option<Arc<TaskRecord>>,
    Admission,
    &'static Location<'static>,
) -> Result<(), Closed>;

enum SpawnState<'a> {
    New {
        spec: &'static TaskSpec,
    },
    Waiting {
        admission: WaitForAdmission<'a>,
        queued: QueuedRun,
    },
    /// The closure panicked, which was told.
    Panicked,
    Closed,
    Done,
}

type WaitForAdmission<'a> = Pin<Box<dyn Future<Output = Result<Admission, Refusal>> + Send + 'a>>;

/// The run is pinned only once it is in its task.
impl<S> Unpin for PoolSpawn<'_, S> {}

impl<'a, S: SupervisedFuture> PoolSpawn<'a, S> {
    pub(crate) fn new(
        pool: &'a Arc<PoolState>,
        task: impl FnOnce(CancellationToken) -> S,
        place: &'static Location<'static>,
        spawn_fn: SpawnFn<S>,
    ) -> Self {
        let (mut run, mut recycled) = (None, None);
        let state = if pool.is_closed() {
            drop_quietly(task);
            SpawnState::Closed
        } else {
            match make_run(pool, task, &mut run) {
                Some(PreparedRun { spec, record }) => {
                    recycled = record;
                    SpawnState::New { spec }
                }
                None => SpawnState::Panicked,
            }
        };
        Self { pool, place, run, record: recycled, state, spawn_fn }
    }
}

/// Spawns a run that has been admitted.
pub(crate) fn spawn_admitted<S, L>(
    pool: &Arc<PoolState>,
    run: &mut Option<S>,
    record: Option<Arc<TaskRecord>>,
    admission: Admission,
    place: &'static Location<'static>,
) -> Result<(), Closed>
where
    S: SupervisedFuture<Error: LoggedError>,
    L: Spawner<S>,
{
    let slot = admission.slot.expect("the slots of a pool are bounded");
    spawn_run::<S, L>(pool, run, record, (slot, admission.permit), place, SlotKind::New)
}

impl<'a, S> PoolSpawn<'a, S> {
    fn start(
        &mut self,
        spec: &'static TaskSpec,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SpawnError>> {
        if let Some(admission) = self.pool.slots.try_admit(spec) {
            if admission.permit.is_some() {
                spec.local_metrics().record_wait(0);
            }
            return Poll::Ready(self.spawn_run(admission));
        }
        let pool: &'a PoolState = self.pool;
        let admission = pool.slots.admit(spec, &pool.scope, &pool.closing);
        self.state =
            SpawnState::Waiting { admission: Box::pin(admission), queued: QueuedRun::start(spec) };
        self.wait(cx)
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SpawnError>> {
        let SpawnState::Waiting { admission, .. } = &mut self.state else {
            unreachable!("only a waiting spawn is polled here");
        };
        let admitted = ready!(admission.as_mut().poll(cx));
        let SpawnState::Waiting { queued, .. } =
            std::mem::replace(&mut self.state, SpawnState::Done)
        else {
            unreachable!("matched above");
        };
        Poll::Ready(match admitted {
            Ok(admission) => {
                let wait = queued.admitted();
                // Closed since it was admitted.
                self.spawn_run(admission).inspect_err(|_| wait.finish_unspawned(Outcome::Cancelled))
            }
            Err(refusal) => {
                drop_quietly(self.run.take());
                let (outcome, error) = match refusal {
                    Refusal::Cancelled => (Outcome::Cancelled, Closed.into()),
                    Refusal::Deadlock(rejected) => (Outcome::Rejected, rejected.into()),
                };
                queued.finish(outcome);
                Err(error)
            }
        })
    }

    fn spawn_run(&mut self, admission: Admission) -> Result<(), SpawnError> {
        // The token may have been fired since the run was made.
        if self.pool.may_be_cancelled() {
            self.pool.renew_if_cancelled();
        }
        let record = self.record.take();
        Ok((self.spawn_fn)(self.pool, &mut self.run, record, admission, self.place)?)
    }
}

impl<S> Future for PoolSpawn<'_, S> {
    type Output = Result<(), SpawnError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !matches!(self.state, SpawnState::Waiting { .. }) {
            ready!(budget::spend(cx));
        }
        match std::mem::replace(&mut self.state, SpawnState::Done) {
            SpawnState::New { spec } => self.start(spec, cx),
            waiting @ SpawnState::Waiting { .. } => {
                self.state = waiting;
                self.wait(cx)
            }
            SpawnState::Panicked => Poll::Ready(Ok(())),
            SpawnState::Closed => Poll::Ready(Err(Closed.into())),
            SpawnState::Done => panic!("a spawn was polled after it had ended"),
        }
    }
}

impl<S> Drop for PoolSpawn<'_, S> {
    fn drop(&mut self) {
        drop_quietly(std::mem::replace(&mut self.state, SpawnState::Done));
        if self.run.is_some() {
            drop_quietly(self.run.take());
        }
    }
}
