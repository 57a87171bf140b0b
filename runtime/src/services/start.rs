//! How the task of a service is spawned, and reports its end.

use std::{
    panic::Location,
    sync::{Arc, Weak},
};

use tokio_util::sync::CancellationToken;

use crate::{
    cause::Cause,
    context::{
        self,
        cancel_waker::CancelWaker,
        service::ServiceNode,
        tree::{OnThread, TaskRecord},
    },
    error::{Cancelled, TaskError, is_cancelled},
    outcome::Outcome,
    panic,
    panic::{Caught, drop_quietly},
    registry::live::LiveTask,
    registry::unfinished::{UnfinishedReason, UnfinishedTask},
    run::future::{Prepared, SupervisedFuture, TaskCompletion},
    run::output::panicked,
    telemetry::events,
    telemetry::span::TaskSpan,
    token::call_closure,
};
use crate::{
    services::error::{BoxError, ServiceError},
    services::ready::Ready,
    services::state::{ServiceId, State},
    services::task::{End, ServiceFailure, ServiceTask},
    tasks::cell::{Report, Task, set_tuning},
    tasks::name::task_name,
    tasks::spawner::{OnWorkers, Spawner},
};

/// Calls the closure of a service, and spawns the run that it makes. A panic of the closure is returned as an error.
pub(crate) type Start<'a> =
    Box<dyn FnOnce(Starting<'_>) -> Result<Arc<ServiceTask>, BoxError> + Send + 'a>;

/// The parts that a start needs.
pub(crate) struct Starting<'a> {
    pub(crate) state: &'a Arc<State>,
    pub(crate) id: ServiceId,
    pub(crate) node: Arc<ServiceNode>,
    pub(crate) span: &'a TaskSpan,
    pub(crate) place: &'static Location<'static>,
}

/// Makes the start of a service of its closure.
pub(crate) fn start<'a, S, F>(service: F) -> Start<'a>
where
    F: FnOnce(CancellationToken, Ready) -> S + Send + 'a,
    S: SupervisedFuture<Value = ()> + Send + 'static,
    S::Error: ServiceError,
{
    Box::new(move |starting| {
        let token = CancellationToken::new();
        let ready = Ready::new(starting.node.clone());
        let given = token.clone();
        match call_closure(move || service(given, ready)) {
            Ok(run) => Ok(spawn(run, token, starting)),
            Err(caught) => Err(panicked(task_name::<S, F>(), caught).into()),
        }
    })
}

/// Registers the task, then spawns it.
fn spawn<S>(mut run: S, token: CancellationToken, starting: Starting<'_>) -> Arc<ServiceTask>
where
    S: SupervisedFuture<Value = ()> + Send + 'static,
    S::Error: ServiceError,
{
    let Starting { state, id, node, span, place } = starting;
    let spec = run.spec();
    let scope = context::service_scope(token.clone(), node);
    let record = Arc::new(TaskRecord::new(spec, place, scope.clone(), OnThread::Worker));
    let weak: Weak<TaskRecord> = Arc::downgrade(&record);
    let cancel_waker = CancelWaker::new(&token, &scope, weak);
    let task = Arc::new(ServiceTask::new(record.clone(), token, scope, cancel_waker));
    state.set_task(id, &task);
    let label = set_tuning(&record, &run);
    run.prepare(Prepared { permit: None, longest_grace: None });
    let span = events::task_span(span, record.scope().cuts_spans(), spec.name(), label.as_ref());
    let report = ServiceReporter { state: state.clone(), id, task: task.clone() };
    let spawned = OnWorkers::spawn(Task::new(record.clone(), span, &mut Some(run), report));
    record.set_id(spawned.id());
    task
}

/// Reports the end of a service's task.
struct ServiceReporter {
    state: Arc<State>,
    id: ServiceId,
    task: Arc<ServiceTask>,
}

impl ServiceReporter {
    fn finish<E: ServiceError>(
        self,
        record: &TaskRecord,
        ended: TaskCompletion<(), E>,
        text: Option<Box<str>>,
    ) {
        let TaskCompletion { outcome, overdue, result, .. } = ended;
        let end = match result {
            Ok(()) => End::Ok,
            Err(error) => match panic::catch(|| error.into()) {
                Err(caught) => End::conversion_panicked(record, caught),
                Ok(_) if overdue => End::Overdue(UnfinishedTask {
                    task: LiveTask::ended(record),
                    why: UnfinishedReason::OwnGrace(record.grace()),
                }),
                Ok(error) if outcome == Outcome::Cancelled => {
                    End::Cancelled(self.as_cancellation(record, error))
                }
                Ok(error) => End::Failed(ServiceFailure { error, outcome, text }),
            },
        };
        self.end(end);
    }

    /// An error type may hide its sources: then the error does not say that it is a cancellation.
    fn as_cancellation(&self, record: &TaskRecord, error: BoxError) -> BoxError {
        // Its sources are the user's code.
        let shows = panic::catch(|| is_cancelled(&*error)).map_err(drop_quietly);
        if shows == Ok(true) {
            return error;
        }
        drop_quietly(error);
        cancelled(record, self.task.cause())
    }

    /// Once the end is reported, nothing of the task is left but its memory.
    fn end(self, end: End) {
        let Self { state, id, task } = self;
        drop(task);
        state.set_ended(id, end);
    }
}

fn cancelled(record: &TaskRecord, cause: Cause) -> BoxError {
    TaskError::Cancelled(Cancelled::new(record.origin(), cause)).into()
}

impl End {
    fn conversion_panicked(record: &TaskRecord, caught: Caught) -> Self {
        Self::Failed(ServiceFailure {
            error: panicked(record.origin(), caught).into(),
            outcome: Outcome::Panicked,
            text: None,
        })
    }
}

impl<E: ServiceError> Report<(), E> for ServiceReporter {
    type Output = ();

    fn completed(
        self,
        record: &Arc<TaskRecord>,
        ended: TaskCompletion<(), E>,
        _: Option<CancellationToken>,
        text: Option<Box<str>>,
    ) {
        self.finish(record, ended, text);
    }

    fn aborted(self, record: &Arc<TaskRecord>, _: fn(TaskError) -> E) {
        let cancelled = cancelled(record, self.task.cause_of_abort());
        self.end(End::Aborted(cancelled));
    }

    fn poll_panicked(self, record: &Arc<TaskRecord>, caught: Caught) {
        self.end(End::conversion_panicked(record, caught));
    }

    fn cancel_waker(&self) -> Option<&CancelWaker> {
        Some(self.task.cancel_waker())
    }
}
