//! The future of a spawn into a group: it waits to be admitted, then spawns.

use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio_util::sync::CancellationToken;

use super::{
    launch::Launch,
    ledger::{Index, Shared},
    slots::{Admission, Refusal, Waiting},
    task::{Report, Task},
};
use crate::{
    Cancelled, Outcome, Panic, TaskError, events,
    limit::Slot,
    panic::{self, Caught, drop_quietly},
    run::{Ended, Prepared, SupervisedFuture, alarm::Alarm, row::Row},
    spec::TaskSpec,
};

/// The future of [`Group::spawn`](super::group::Group::spawn); it spawns when it is awaited.
///
/// # Cancel safety
///
/// Dropped while it waits, it has spawned nothing.
#[must_use = "nothing is spawned until this is awaited"]
pub struct Spawn<'a, T, E, S> {
    group: &'a Arc<Shared<T, E>>,
    /// There until it is spawned or refused; moved as seldom as can be, since it may be large.
    run: Option<S>,
    /// What an ended task has left.
    row: Option<Arc<Row>>,
    stage: Stage<'a, E>,
    // Pointers, so that what a run must be is asked at the spawn, and not at its `.await` again.
    error: fn(TaskError) -> E,
    launch: LaunchFn<T, E, S>,
    place: &'static Location<'static>,
}

/// Takes the run out of its place.
type LaunchFn<T, E, S> =
    fn(&Arc<Shared<T, E>>, &mut Option<S>, Option<Arc<Row>>, Admission, &'static Location<'static>);

enum Stage<'a, E> {
    New { spec: &'static TaskSpec },
    Waiting { spec: &'static TaskSpec, admission: WaitForAdmission<'a>, counted: Waiting },
    Failed(E),
    Refused,
    Done,
}

type WaitForAdmission<'a> = Pin<Box<dyn Future<Output = Result<Admission, Refusal>> + Send + 'a>>;

/// The name of a task whose closure panicked before it could tell.
pub(super) const CLOSURE: &str = "spawn";

/// The run is pinned only once it is in its task.
impl<T, E, S> Unpin for Spawn<'_, T, E, S> {}

impl<'a, T, E, S> Spawn<'a, T, E, S>
where
    S: SupervisedFuture<Value = T, Error = E>,
{
    #[inline]
    pub(super) fn new(
        group: &'a Arc<Shared<T, E>>,
        task: impl FnOnce(CancellationToken) -> S,
        place: &'static Location<'static>,
        launch: LaunchFn<T, E, S>,
    ) -> Self {
        let (mut run, mut row) = (None, None);
        let stage = match group.token() {
            None => {
                drop_quietly(task);
                Stage::Refused
            }
            Some((token, spare)) => {
                row = spare;
                match panic::catch(|| run.insert(task(token)).spec()) {
                    Ok(spec) => Stage::New { spec },
                    Err(caught) => Stage::Failed(unmade::<S>(caught)),
                }
            }
        };
        Self { group, run, row, stage, error: S::error, launch, place }
    }
}

/// The closure has panicked.
#[cold]
fn unmade<S: SupervisedFuture>(caught: Caught) -> S::Error {
    let panic = Panic::new(CLOSURE, caught);
    events::panicked(&panic);
    S::error(TaskError::Panicked(panic))
}

/// Spawns a run that has been admitted.
pub(super) fn launch<S, L>(
    group: &Arc<Shared<S::Value, S::Error>>,
    run: &mut Option<S>,
    row: Option<Arc<Row>>,
    admission: Admission,
    place: &'static Location<'static>,
) where
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>,
    L: Launch<S>,
{
    let waiting = run.as_mut().expect("a run is spawned once");
    let spec = waiting.spec();
    let row = Row::anew(row, spec, place, &group.scope, L::THREAD);
    // Before the task is entered: a subscriber may panic.
    let span = events::task_span(spec.name());
    let Some(index) = group.enter(&row) else {
        drop_quietly(run.take());
        return;
    };
    waiting.prepare(Prepared { permit: admission.permit, longest_grace: group.grace });
    let report = InGroup { group: group.clone(), index, slot: admission.slot };
    let id = L::launch(Task::new(row.clone(), span, run, report));
    row.spawned(id);
}

impl<'a, T, E, S> Spawn<'a, T, E, S> {
    fn begin(&mut self, spec: &'static TaskSpec, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(admission) = self.group.slots.try_admit(spec) {
            if admission.permit.is_some() {
                spec.here().waited_for(0);
            }
            (self.launch)(self.group, &mut self.run, self.row.take(), admission, self.place);
            return Poll::Ready(());
        }
        self.wait_for_admission(spec, cx)
    }

    #[cold]
    fn wait_for_admission(&mut self, spec: &'static TaskSpec, cx: &mut Context<'_>) -> Poll<()> {
        self.group.wait_begun();
        let group: &'a Shared<T, E> = self.group;
        let admission = group.slots.admit(spec, &group.scope, &group.token);
        let (admission, counted) = (Box::pin(admission), Waiting::begin(spec));
        self.stage = Stage::Waiting { spec, admission, counted };
        self.wait(cx)
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Stage::Waiting { admission, .. } = &mut self.stage else {
            unreachable!("only a spawn that waits is asked to");
        };
        let admitted = ready!(admission.as_mut().poll(cx));
        let Stage::Waiting { spec, counted, .. } = std::mem::replace(&mut self.stage, Stage::Done)
        else {
            unreachable!("looked at above");
        };
        let _waited = Waited(self.group);
        match admitted {
            Ok(admission) => {
                counted.granted();
                (self.launch)(self.group, &mut self.run, self.row.take(), admission, self.place);
            }
            Err(refusal) => {
                let task = spec.name();
                drop_quietly(self.run.take());
                match refusal {
                    Refusal::Fired => {
                        counted.ended(Outcome::Cancelled);
                        self.refuse(task);
                    }
                    Refusal::WaitsForItself(rejected) => {
                        counted.ended(Outcome::Rejected);
                        let error = (self.error)(TaskError::Rejected(rejected));
                        self.group.fail(task, Outcome::Rejected, error);
                    }
                }
            }
        }
        Poll::Ready(())
    }

    fn refuse(&self, task: &'static str) {
        let cause = self.group.scope.cause().unwrap_or(crate::Cause::Token);
        let cancelled = Cancelled::new(task, cause);
        self.group.refuse((self.error)(TaskError::Cancelled(cancelled)));
    }
}

impl<T, E, S> Future for Spawn<'_, T, E, S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.stage {
            Stage::New { spec } => {
                self.stage = Stage::Done;
                return self.begin(spec, cx);
            }
            Stage::Waiting { .. } => return self.wait(cx),
            _ => {}
        }
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::New { .. } | Stage::Waiting { .. } => unreachable!("looked at above"),
            Stage::Failed(error) => {
                self.group.fail(CLOSURE, Outcome::Panicked, error);
                Poll::Ready(())
            }
            Stage::Refused => {
                self.refuse(CLOSURE);
                Poll::Ready(())
            }
            Stage::Done => panic!("a spawn was polled after it had ended"),
        }
    }
}

/// Tells the group when a wait is over, also where the spawn panics: outside a runtime it does.
struct Waited<'a, T, E>(&'a Shared<T, E>);

impl<T, E> Drop for Waited<'_, T, E> {
    fn drop(&mut self) {
        self.0.wait_ended();
    }
}

impl<T, E, S> Drop for Spawn<'_, T, E, S> {
    fn drop(&mut self) {
        if let Stage::Waiting { .. } = self.stage {
            drop_quietly(std::mem::replace(&mut self.stage, Stage::Done));
            drop_quietly(self.run.take());
            self.group.wait_ended();
        }
    }
}

/// Tells the group.
struct InGroup<T, E> {
    group: Arc<Shared<T, E>>,
    index: Index,
    slot: Option<Slot>,
}

impl<S: SupervisedFuture> Report<S> for InGroup<S::Value, S::Error> {
    fn alarm(&self) -> Option<&Alarm> {
        self.group.alarm()
    }

    fn ended(
        self,
        row: &Arc<Row>,
        Ended { outcome, result, .. }: Ended<S::Value, S::Error>,
        token: Option<CancellationToken>,
    ) {
        drop(self.slot);
        self.group.leave(self.index, row.spec().name(), outcome, result, token);
    }

    fn aborted(self, row: &Arc<Row>) {
        let task = row.spec().name();
        let cause = self.group.scope.cause().unwrap_or(crate::Cause::ScopeDropped);
        let cancelled = TaskError::Cancelled(Cancelled::new(task, cause));
        match panic::catch(|| S::error(cancelled)) {
            Ok(error) => {
                let ended = Ended::aborted(error);
                Report::<S>::ended(self, row, ended, None);
            }
            Err(caught) => {
                drop(self.slot);
                self.group.leave_untold(self.index, task, caught);
            }
        }
    }
}
