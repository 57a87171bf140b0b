//! The future of a spawn into a group: it waits to be admitted, then spawns.

mod admission_wait;

use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio_util::sync::CancellationToken;

use crate::group::spawn::admission_wait::{AdmissionResult, AdmissionWait, SpawnState};
use crate::{
    context::cancel_waker::CancelWaker,
    context::tree::TaskRecord,
    error::Panic,
    error::{Cancelled, TaskError},
    function::TaskSpec,
    function::limit::Slot,
    panic,
    panic::{Caught, drop_quietly},
    registry::slab::Key,
    run::future::{Prepared, SupervisedFuture, TaskCompletion},
    telemetry::events,
    token::call_closure,
};
use crate::{
    group::state::GroupState,
    tasks::admission::Admission,
    tasks::cell::{Report, Task, cause_of_abort},
    tasks::failure::Failure,
    tasks::name::task_name,
    tasks::refused::SpawnError,
    tasks::spawner::Spawner,
};

/// The future of [`Group::spawn`](crate::group::Group::spawn); it spawns when it is awaited.
///
/// # Cancel safety
///
/// Dropped while it waits, it has spawned nothing.
#[must_use = "nothing is spawned until this is awaited"]
pub struct Spawn<'a, T, E, S> {
    admission_wait: AdmissionWait<'a, T, E>,
    /// There until it is spawned or refused; moved as seldom as can be, since it may be large.
    run: Option<S>,
    /// What an ended task has left.
    record: Option<Arc<TaskRecord>>,
    // A pointer, as the `AdmissionWait`'s.
    spawn_fn: SpawnFn<T, E, S>,
    place: &'static Location<'static>,
}

/// Takes the run out of its place. There is no task in a group that is closed: then it returns the function.
type SpawnFn<T, E, S> = fn(
    &Arc<GroupState<T, E>>,
    &mut Option<S>,
    Option<Arc<TaskRecord>>,
    Admission,
    &'static Location<'static>,
) -> Result<(), &'static TaskSpec>;

/// The run is pinned only once it is in its task.
impl<T, E, S> Unpin for Spawn<'_, T, E, S> {}

impl<'a, T, E, S> Spawn<'a, T, E, S>
where
    S: SupervisedFuture<Value = T, Error = E>,
{
    /// `name` is that of a task which has one before its closure is called.
    #[inline]
    pub(crate) fn new<F: FnOnce(CancellationToken) -> S>(
        group: &'a Arc<GroupState<T, E>>,
        name: Option<&'static str>,
        task: F,
        place: &'static Location<'static>,
        spawn_fn: SpawnFn<T, E, S>,
    ) -> Self {
        let (mut run, mut record) = (None, None);
        let state = match group.task_parts() {
            None => {
                drop_quietly(task);
                SpawnState::Refused { task: name.unwrap_or_else(task_name::<S, F>) }
            }
            Some((token, recycled)) => {
                record = recycled;
                match call_closure(|| run.insert(task(token)).spec()) {
                    Ok(spec) => SpawnState::New { spec },
                    Err(caught) => {
                        closure_panicked::<S>(name.unwrap_or_else(task_name::<S, F>), caught)
                    }
                }
            }
        };
        Self {
            admission_wait: AdmissionWait::new(group, state, S::error),
            run,
            record,
            spawn_fn,
            place,
        }
    }
}

/// The closure has panicked.
#[cold]
fn closure_panicked<S: SupervisedFuture>(
    task: &'static str,
    caught: Caught,
) -> SpawnState<'static, S::Error> {
    let panic = Panic::new(task, caught);
    events::panicked(&panic);
    SpawnState::Failed { task, error: panic::catch(|| S::error(TaskError::Panicked(panic))) }
}

/// Spawns a run that has been admitted.
pub(crate) fn spawn_admitted<S, L>(
    group: &Arc<GroupState<S::Value, S::Error>>,
    run: &mut Option<S>,
    record: Option<Arc<TaskRecord>>,
    admission: Admission,
    place: &'static Location<'static>,
) -> Result<(), &'static TaskSpec>
where
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>,
    L: Spawner<S>,
{
    let waiting = run.as_mut().expect("a run is spawned once");
    let spec = waiting.spec();
    let record = TaskRecord::recycle_or_new(record, spec, place, &group.scope, L::THREAD);
    let span = events::task_span(&group.span, group.scope.cuts_spans(), spec.name());
    let Some(key) = group.register(&record) else {
        drop_quietly(run.take());
        return Err(spec);
    };
    waiting.prepare(Prepared { permit: admission.permit, longest_grace: group.grace });
    let report = GroupReporter { group: group.clone(), key, slot: admission.slot };
    let id = L::spawn(Task::new(record.clone(), span, run, report));
    record.set_id(id);
    Ok(())
}

impl<T, E, S> Spawn<'_, T, E, S> {
    /// With `return_error`, why nothing is spawned is returned rather than reported by the join.
    fn poll_spawn(
        &mut self,
        cx: &mut Context<'_>,
        return_error: bool,
    ) -> Poll<Result<(), SpawnError>> {
        let Self { admission_wait, run, record, spawn_fn, place } = self;
        match ready!(admission_wait.poll(cx)) {
            AdmissionResult::Admitted(admission, admitted) => {
                let spawned = spawn_fn(admission_wait.group, run, record.take(), admission, place);
                Poll::Ready(spawned.map_err(|spec| {
                    if let Some(admitted) = admitted {
                        admitted.cancel();
                    }
                    admission_wait.refusal(spec.into())
                }))
            }
            AdmissionResult::Refused(refused) => {
                drop_quietly(run.take());
                Poll::Ready(admission_wait.report_refusal(refused, place, return_error))
            }
        }
    }
}

impl<T, E, S> Future for Spawn<'_, T, E, S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // While it is borrowed nobody can join the group: nothing but its own failures can refuse it.
        self.poll_spawn(cx, false).map(drop)
    }
}

/// The future of [`GroupHandle::spawn`](crate::group::GroupHandle::spawn); it spawns when it is awaited.
///
/// # Cancel safety
///
/// Dropped while it waits, it has spawned nothing.
#[must_use = "nothing is spawned until this is awaited"]
pub struct HandleSpawn<'a, T, E, S>(pub(crate) Spawn<'a, T, E, S>);

impl<T, E, S> Future for HandleSpawn<'_, T, E, S> {
    type Output = Result<(), SpawnError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_spawn(cx, true)
    }
}

impl<T, E, S> Drop for Spawn<'_, T, E, S> {
    fn drop(&mut self) {
        if let Some(_guard) = self.admission_wait.cancel() {
            drop_quietly(self.run.take());
        }
    }
}

/// Tells the group.
struct GroupReporter<T, E> {
    group: Arc<GroupState<T, E>>,
    key: Key,
    slot: Option<Slot>,
}

impl<T, E> GroupReporter<T, E> {
    fn finish(
        self,
        record: &TaskRecord,
        TaskCompletion { outcome, result, .. }: TaskCompletion<T, E>,
        token: Option<CancellationToken>,
        text: Option<Box<str>>,
    ) {
        let (task, place) = (record.spec().name(), record.spawned_at());
        let result = result.map_err(|error| Failure { task, place, outcome, error, text });
        drop(self.slot);
        self.group.finish(self.key, task, result, token);
    }
}

impl<T, E> Report<T, E> for GroupReporter<T, E> {
    /// What the join does not return is logged.
    const LOGS: bool = true;

    fn cancel_waker(&self) -> Option<&CancelWaker> {
        self.group.cancel_waker()
    }

    fn completed(
        self,
        record: &Arc<TaskRecord>,
        ended: TaskCompletion<T, E>,
        token: Option<CancellationToken>,
    ) {
        self.finish(record, ended, token, None);
    }

    fn failed(
        self,
        record: &Arc<TaskRecord>,
        ended: TaskCompletion<T, E>,
        token: Option<CancellationToken>,
        text: Option<Box<str>>,
    ) {
        self.finish(record, ended, token, text);
    }

    fn aborted(self, record: &Arc<TaskRecord>, error: fn(TaskError) -> E) {
        let cause = cause_of_abort(&self.group.scope, &self.group.token);
        let cancelled = TaskError::Cancelled(Cancelled::new(record.spec(), cause));
        match panic::catch(|| error(cancelled)) {
            Ok(error) => self.completed(record, TaskCompletion::aborted(error), None),
            Err(caught) => self.poll_panicked(record, caught, error),
        }
    }

    fn poll_panicked(self, record: &Arc<TaskRecord>, caught: Caught, _: fn(TaskError) -> E) {
        drop(self.slot);
        self.group.finish_unconvertible(self.key, record.spec().name(), caught);
    }
}
