//! The future of a spawn into a group: it waits to be admitted, then spawns.

mod candidate;

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
    slots::Admission,
    task::{Report, Task},
};
use crate::{
    Cancelled, Cause, Panic, TaskError, events,
    limit::Slot,
    panic::{self, Caught, drop_quietly},
    run::{Ended, Prepared, SupervisedFuture, alarm::Alarm, own, row::Row},
};
use candidate::{Answer, Candidate, Stage};

/// The future of [`Group::spawn`](super::group::Group::spawn); it spawns when it is awaited.
///
/// # Cancel safety
///
/// Dropped while it waits, it has spawned nothing.
#[must_use = "nothing is spawned until this is awaited"]
pub struct Spawn<'a, T, E, S> {
    candidate: Candidate<'a, T, E>,
    /// There until it is spawned or refused; moved as seldom as can be, since it may be large.
    run: Option<S>,
    /// What an ended task has left.
    row: Option<Arc<Row>>,
    // A pointer, as the candidate's.
    launch: LaunchFn<T, E, S>,
    place: &'static Location<'static>,
}

/// Takes the run out of its place. Whether there is a task then: not in a group that is closed.
type LaunchFn<T, E, S> = fn(
    &Arc<Shared<T, E>>,
    &mut Option<S>,
    Option<Arc<Row>>,
    Admission,
    &'static Location<'static>,
) -> bool;

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
                match own::making(|| run.insert(task(token)).spec()) {
                    Ok(spec) => Stage::New { spec },
                    Err(caught) => Stage::Failed(unmade::<S>(caught)),
                }
            }
        };
        Self { candidate: Candidate::new(group, stage, S::error), run, row, launch, place }
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
) -> bool
where
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>,
    L: Launch<S>,
{
    let waiting = run.as_mut().expect("a run is spawned once");
    let spec = waiting.spec();
    let row = Row::anew(row, spec, place, &group.scope, L::THREAD);
    let span = events::task_span(spec.name());
    let Some(index) = group.enter(&row) else {
        drop_quietly(run.take());
        return false;
    };
    waiting.prepare(Prepared { permit: admission.permit, longest_grace: group.grace });
    let report = InGroup { group: group.clone(), index, slot: admission.slot };
    let id = L::launch(Task::new(row.clone(), span, run, report));
    row.spawned(id);
    true
}

impl<T, E, S> Future for Spawn<'_, T, E, S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { candidate, run, row, launch, place } = &mut *self;
        match ready!(candidate.poll(cx)) {
            Answer::Admitted(admission, granted) => {
                let entered = launch(candidate.group, run, row.take(), admission, place);
                if let (false, Some(granted)) = (entered, granted) {
                    granted.in_vain();
                }
            }
            Answer::No(no) => {
                drop_quietly(run.take());
                candidate.say(no);
            }
        }
        Poll::Ready(())
    }
}

impl<T, E, S> Drop for Spawn<'_, T, E, S> {
    fn drop(&mut self) {
        if let Some(_waited) = self.candidate.give_up() {
            drop_quietly(self.run.take());
        }
    }
}

/// Tells the group.
struct InGroup<T, E> {
    group: Arc<Shared<T, E>>,
    index: Index,
    slot: Option<Slot>,
}

impl<T, E> Report<T, E> for InGroup<T, E> {
    fn alarm(&self) -> Option<&Alarm> {
        self.group.alarm()
    }

    fn ended(
        self,
        row: &Arc<Row>,
        Ended { outcome, result, .. }: Ended<T, E>,
        token: Option<CancellationToken>,
    ) {
        drop(self.slot);
        self.group.leave(self.index, row.spec().name(), outcome, result, token);
    }

    fn aborted(self, row: &Arc<Row>, error: fn(TaskError) -> E) {
        let task = row.spec().name();
        let cause = self.group.scope.cause().unwrap_or(Cause::ScopeDropped);
        let cancelled = TaskError::Cancelled(Cancelled::new(task, cause));
        match panic::catch(|| error(cancelled)) {
            Ok(error) => self.ended(row, Ended::aborted(error), None),
            Err(caught) => {
                drop(self.slot);
                self.group.leave_untold(self.index, task, caught);
            }
        }
    }
}
