//! The future of a spawn into a group: it waits to be admitted, then spawns.

use std::{
    future::Future,
    num::NonZero,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio_util::sync::CancellationToken;

use crate::{
    cause::Cause,
    context::cancel_waker::CancelWaker,
    context::tree::TaskRecord,
    error::{Cancelled, Origin, TaskError},
    function::TaskSpec,
    function::limit::Permit,
    outcome::Outcome,
    panic,
    panic::{Caught, drop_quietly},
    registry::slab::Key,
    run::future::{Prepared, Supervised, SupervisedFuture, TaskCompletion},
    run::output::panicked,
    telemetry::events,
    token::call_closure,
};
use crate::{
    group::state::GroupState,
    tasks::admission::{Admission, AdmissionWait, Refusal},
    tasks::blocking::{Blocking, blocking},
    tasks::cell::{Report, Task, error_of_abort, set_tuning},
    tasks::failure::Failure,
    tasks::handle::TaskHandle,
    tasks::name::task_name,
    tasks::refused::SpawnError,
    tasks::spawner::{OnBlockingThread, Spawner},
};

/// The future of [`Group::spawn`](crate::group::Group::spawn); it spawns when it is awaited.
///
/// # Cancel safety
///
/// If the future is dropped while it waits, nothing is spawned.
#[must_use = "nothing is spawned until this is awaited"]
pub struct Spawn<'a, T, E, S> {
    group: &'a Arc<GroupState<T, E>>,
    wait: AdmissionWait<'a, NotMade<E>>,
    /// Its number among the group's spawns that wait.
    waiter: Option<NonZero<u64>>,
    /// There until it is spawned or refused; moved as seldom as can be, since it may be large.
    run: Option<S>,
    /// A recycled record of an ended task.
    record: Option<Arc<TaskRecord>>,
    // Pointers: the bounds on a run are checked at the spawn, and not again at its `.await`.
    spawn_fn: SpawnFn<T, E, S>,
    error: fn(TaskError) -> E,
    place: &'static Location<'static>,
}

/// Takes the run out of its place. There is no task in a group that is closed: then it returns the function.
type SpawnFn<T, E, S> = fn(
    &Arc<GroupState<T, E>>,
    &mut Option<S>,
    Option<Arc<TaskRecord>>,
    Admission<'_>,
    &'static Location<'static>,
) -> Result<TaskHandle, &'static TaskSpec>;

/// Why a spawn has no run.
pub(crate) enum NotMade<E> {
    /// The closure panicked; `task` is the name of its task. The error's conversion may have panicked, too.
    // Boxed: it is rare, and a large error would make every spawn large.
    Failed { task: &'static str, error: Box<Result<E, Caught>> },
    /// The group took nothing more before the closure was called.
    Refused { task: &'static str },
}

/// The run is pinned only once it is in its task.
impl<T, E, S> Unpin for Spawn<'_, T, E, S> {}

impl<'a, T, E, S> Spawn<'a, T, E, S>
where
    S: SupervisedFuture<Value = T, Error = E>,
{
    /// A spawn on the threads of `L`, at the place of the caller.
    #[inline]
    #[track_caller]
    pub(crate) fn of<L, F>(group: &'a Arc<GroupState<T, E>>, task: F) -> Self
    where
        L: Spawner<S, GroupReporter<T, E>>,
        F: FnOnce(CancellationToken) -> S,
        S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>,
    {
        Self::new(group, None, task, Location::caller(), spawn_admitted::<_, L>)
    }

    /// `name` is that of a task which has one before its closure is called.
    #[inline]
    fn new<F: FnOnce(CancellationToken) -> S>(
        group: &'a Arc<GroupState<T, E>>,
        name: Option<&'static str>,
        task: F,
        place: &'static Location<'static>,
        spawn_fn: SpawnFn<T, E, S>,
    ) -> Self {
        let (mut run, mut record) = (None, None);
        let wait = match group.task_parts() {
            None => {
                drop_quietly(task);
                let task = name.unwrap_or_else(task_name::<S, F>);
                AdmissionWait::NotMade(NotMade::Refused { task })
            }
            Some((token, recycled)) => {
                record = recycled;
                match call_closure(|| run.insert(task(token)).spec()) {
                    Ok(spec) => AdmissionWait::New { spec },
                    Err(caught) => {
                        let task = name.unwrap_or_else(task_name::<S, F>);
                        AdmissionWait::NotMade(closure_panicked::<S>(task, caught))
                    }
                }
            }
        };
        Self { group, wait, waiter: None, run, record, spawn_fn, error: S::error, place }
    }
}

impl<'a, T, E, F> Spawn<'a, T, E, Supervised<Blocking<F>>>
where
    T: Send + 'static,
    E: From<TaskError> + Send + 'static,
    F: FnOnce(CancellationToken) -> Result<T, E> + Send + 'static,
{
    /// A spawn of a closure that blocks, at the place of the caller.
    #[track_caller]
    pub(crate) fn of_blocking(
        group: &'a Arc<GroupState<T, E>>,
        name: &'static str,
        work: F,
    ) -> Self {
        let place = Location::caller();
        let task = |token| blocking(name, place, token, work);
        Self::new(group, Some(name), task, place, spawn_admitted::<_, OnBlockingThread>)
    }
}

/// The closure has panicked.
#[cold]
fn closure_panicked<S: SupervisedFuture>(task: &'static str, caught: Caught) -> NotMade<S::Error> {
    let error = panicked(task, caught);
    let error = panic::catch(|| S::error(error));
    NotMade::Failed { task, error: Box::new(error) }
}

/// Spawns a run that has been admitted.
fn spawn_admitted<S, L>(
    group: &Arc<GroupState<S::Value, S::Error>>,
    run: &mut Option<S>,
    record: Option<Arc<TaskRecord>>,
    admission: Admission<'_>,
    place: &'static Location<'static>,
) -> Result<TaskHandle, &'static TaskSpec>
where
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>,
    L: Spawner<S, GroupReporter<S::Value, S::Error>>,
{
    let waiting = run.as_mut().expect("a run is spawned once");
    let spec = waiting.spec();
    let record = TaskRecord::recycle_or_new(record, spec, place, &group.tasks.scope, L::THREAD);
    let label = set_tuning(&record, waiting);
    let cuts_spans = group.tasks.scope.cuts_spans();
    let span = events::task_span(&group.span, cuts_spans, spec.name(), label.as_ref());
    let Some(key) = group.register(&record) else {
        drop_quietly(run.take());
        return Err(spec);
    };
    waiting.prepare(Prepared { permit: admission.permit, longest_grace: group.grace });
    admission.slot.into_iter().for_each(Permit::keep);
    let report = GroupReporter { group: group.clone(), key };
    let task = L::spawn(Task::new(record.clone(), span, run, report));
    record.set_id(task.id());
    Ok(TaskHandle::new(record, label))
}

impl<'a, T, E, S> Spawn<'a, T, E, S> {
    /// With `return_error`, why nothing is spawned is returned rather than reported by the join.
    fn poll_spawn(
        &mut self,
        cx: &mut Context<'_>,
        return_error: bool,
    ) -> Poll<Result<TaskHandle, SpawnError>> {
        let group = self.group;
        let polled = self.wait.poll(&group.slots, &group.tasks.scope, &group.tasks.token, cx);
        let Poll::Ready(admitted) = polled else {
            if let Some(spec) = self.wait.queued_spec() {
                let number = self.waiter.get_or_insert_with(|| group.add_waiter(spec, self.error));
                group.waiter_polled(*number, cx);
            }
            return Poll::Pending;
        };
        let _guard = self.take_waiter();
        Poll::Ready(match admitted {
            Ok(admission) => {
                let record = self.record.take();
                let spawned = (self.spawn_fn)(group, &mut self.run, record, admission, self.place);
                spawned.or_else(|spec| {
                    self.wait.finish(Outcome::Cancelled);
                    let refusal = group.refusal(spec.into());
                    if return_error {
                        return Err(refusal);
                    }
                    Ok(TaskHandle::refused(spec.into(), Outcome::Cancelled))
                })
            }
            Err(refusal) => {
                drop_quietly(self.run.take());
                let Self { wait, error, place, .. } = self;
                report_refusal(group, wait, refusal, *error, place, return_error)
            }
        })
    }

    /// The spawn no longer waits once the guard is dropped.
    fn take_waiter(&mut self) -> Option<WaiterGuard<'a, T, E>> {
        let number = self.waiter.take()?;
        Some(WaiterGuard { group: self.group, number })
    }
}

/// Removes a spawn from the waiting ones, also if the spawn panics, which it does outside a runtime.
struct WaiterGuard<'a, T, E> {
    group: &'a GroupState<T, E>,
    number: NonZero<u64>,
}

impl<T, E> Drop for WaiterGuard<'_, T, E> {
    fn drop(&mut self) {
        self.group.remove_waiter(self.number);
    }
}

/// Reports to the group why nothing is spawned. With `return_error` the caller of the spawn gets the reason instead,
/// unless the closure panicked.
#[cold]
fn report_refusal<T, E>(
    group: &GroupState<T, E>,
    wait: &mut AdmissionWait<'_, NotMade<E>>,
    refusal: Refusal<NotMade<E>>,
    make_error: fn(TaskError) -> E,
    place: &'static Location<'static>,
    return_error: bool,
) -> Result<TaskHandle, SpawnError> {
    let spec = wait.queued_spec();
    let (task, outcome, error, text) = match (refusal, spec) {
        (Refusal::NotMade(NotMade::Failed { task, error }), _) => {
            (task, Outcome::Panicked, *error, None)
        }
        (Refusal::NotMade(NotMade::Refused { task }), _) => {
            return group.refuse_spawn(task.into(), make_error, return_error);
        }
        (Refusal::Cancelled, spec) => {
            wait.finish(Outcome::Cancelled);
            let task = spec.expect("only a spawn that waits is cancelled").into();
            return group.refuse_spawn(task, make_error, return_error);
        }
        (Refusal::Deadlock(rejected), _) => {
            wait.finish(Outcome::Rejected);
            if return_error {
                return Err(rejected.into());
            }
            let text = rejected.to_string().into();
            let task = rejected.task();
            let error = panic::catch(|| make_error(TaskError::Rejected(rejected)));
            (task, Outcome::Rejected, error, Some(text))
        }
    };
    match error {
        Ok(error) => group.fail(Failure { task: task.into(), place, outcome, error, text }),
        Err(caught) => group.fail_unconvertible(task, caught),
    }
    Ok(TaskHandle::refused(task.into(), outcome))
}

impl<T, E> GroupState<T, E> {
    fn refuse_spawn(
        &self,
        task: Origin,
        error: fn(TaskError) -> E,
        return_error: bool,
    ) -> Result<TaskHandle, SpawnError> {
        let name = task.name();
        let handle = TaskHandle::refused(task.clone(), Outcome::Cancelled);
        let refusal = self.refusal(task);
        let SpawnError::Cancelled(cancelled) = &refusal else {
            return if return_error { Err(refusal) } else { Ok(handle) };
        };
        let (cause, cancelled) = (cancelled.cause(), TaskError::Cancelled(cancelled.clone()));
        let error = panic::catch(|| error(cancelled));
        self.refuse(name, cause, error, return_error);
        if return_error { Err(refusal) } else { Ok(handle) }
    }

    /// Why the group takes no task: it was joined, or it is cancelled.
    fn refusal(&self, task: Origin) -> SpawnError {
        if self.is_joined() {
            return SpawnError::Joined;
        }
        let cause = self.tasks.scope.cause().unwrap_or(Cause::Token);
        SpawnError::Cancelled(Cancelled::new(task, cause))
    }
}

impl<T, E, S> Future for Spawn<'_, T, E, S> {
    type Output = TaskHandle;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TaskHandle> {
        // The group is borrowed and cannot be joined: only failures and cancellations refuse the spawn, and the group
        // records them.
        self.poll_spawn(cx, false)
            .map(|spawned| spawned.expect("only the spawn of a handle returns an error"))
    }
}

/// The future of [`GroupHandle::spawn`](crate::group::GroupHandle::spawn); it spawns when it is awaited.
///
/// # Cancel safety
///
/// If the future is dropped while it waits, nothing is spawned.
#[must_use = "nothing is spawned until this is awaited"]
pub struct HandleSpawn<'a, T, E, S>(pub(crate) Spawn<'a, T, E, S>);

impl<T, E, S> Future for HandleSpawn<'_, T, E, S> {
    type Output = Result<TaskHandle, SpawnError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_spawn(cx, true)
    }
}

impl<T, E, S> Drop for Spawn<'_, T, E, S> {
    fn drop(&mut self) {
        if let AdmissionWait::Waiting { .. } = self.wait {
            let _guard = self.take_waiter();
            drop_quietly(std::mem::replace(&mut self.wait, AdmissionWait::Done));
            drop_quietly(self.run.take());
        }
    }
}

/// Reports the end of a task to its group, and before that releases its slot.
pub(crate) struct GroupReporter<T, E> {
    group: Arc<GroupState<T, E>>,
    key: Key,
}

impl<T, E> Report<T, E> for GroupReporter<T, E> {
    type Output = ();

    fn cancel_waker(&self) -> Option<&CancelWaker> {
        self.group.tasks.cancel_waker()
    }

    fn completed(
        self,
        record: &Arc<TaskRecord>,
        TaskCompletion { outcome, result, .. }: TaskCompletion<T, E>,
        token: Option<CancellationToken>,
        text: Option<Box<str>>,
    ) {
        let task = record.spec().name();
        let result = match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if outcome == Outcome::Cancelled && is_stopped_by_handle(record) => {
                drop_quietly(error);
                Ok(None)
            }
            Err(error) => Err(failure(record, outcome, error, text)),
        };
        self.group.slots.release();
        self.group.finish(self.key, task, result, token);
    }

    fn aborted(self, record: &Arc<TaskRecord>, error: fn(TaskError) -> E) {
        if is_stopped_by_handle(record) {
            self.group.slots.release();
            return self.group.finish(self.key, record.spec().name(), Ok(None), None);
        }
        let tasks = &self.group.tasks;
        match error_of_abort(&tasks.scope, &tasks.token, record.origin(), error) {
            Ok(error) => self.completed(record, TaskCompletion::aborted(error), None, None),
            Err(caught) => self.poll_panicked(record, caught),
        }
    }

    fn poll_panicked(self, record: &Arc<TaskRecord>, caught: Caught) {
        self.group.slots.release();
        self.group.finish_unconvertible(self.key, record.spec().name(), caught);
    }
}

/// Whether a handle has stopped the task, which is no failure.
fn is_stopped_by_handle(record: &TaskRecord) -> bool {
    record.control().requests().is_by_handle()
}

#[cold]
fn failure<E>(
    record: &TaskRecord,
    outcome: Outcome,
    error: E,
    text: Option<Box<str>>,
) -> Failure<E> {
    Failure { task: record.origin(), place: record.spawned_at(), outcome, error, text }
}
