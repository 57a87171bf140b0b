//! One task of a pool: its closure is called, its run is registered and spawned, and its end is reported.

use std::{fmt, panic::Location, sync::Arc};

use crate::{
    cause::Cause,
    context::cancel_waker::CancelWaker,
    context::tree::TaskRecord,
    error::{Cancelled, TaskError},
    function::TaskSpec,
    function::limit::{Permit, Slot},
    outcome::Outcome,
    panic::{Caught, drop_quietly},
    pool::result::{self, Output, PoolTask},
    registry::slab::Key,
    run::future::{Prepared, SupervisedFuture, TaskCompletion},
    run::output::{Text, panicked},
    telemetry::events,
    token::call_closure,
    tuning::{Label, TaskTitle},
};
use crate::{
    pool::state::{PoolState, SlotKind},
    pool::token::Renewed,
    tasks::cell::{Report, Task, set_tuning},
    tasks::name::task_name,
    tasks::refused::{Closed, LoggedError},
    tasks::spawner::Spawner,
};
use tokio_util::sync::CancellationToken;
use tracing::Level;

/// Calls the closure of a spawn, which makes the run. If it panics, logs the panic and returns it.
///
/// The run is stored in `run`. Returns its function.
pub(crate) fn make_run<S: SupervisedFuture, F: FnOnce(CancellationToken) -> S>(
    token: CancellationToken,
    task: F,
    run: &mut Option<S>,
) -> Result<&'static TaskSpec, TaskError> {
    let spec = call_closure(|| run.insert(task(token)).spec());
    spec.map_err(|caught| panicked(task_name::<S, F>(), caught))
}

/// Spawns a run with its slot, and with its permit unless the run waits for that itself.
pub(crate) fn spawn_run<S, L>(
    pool: &Arc<PoolState>,
    run: &mut Option<S>,
    record: Option<Arc<TaskRecord>>,
    (slot, permit): (Slot<'_>, Option<Permit>),
    place: &'static Location<'static>,
    slot_kind: SlotKind,
) -> Result<PoolTask<S::Value, S::Error>, Closed>
where
    S: SupervisedFuture<Error: LoggedError>,
    L: Spawner<S, PoolReporter>,
{
    let waiting = run.as_mut().expect("a run is spawned once");
    let spec = waiting.spec();
    let renewed = pool.renewed();
    let record = match &renewed {
        None => TaskRecord::recycle_or_new(record, spec, place, &pool.tasks.scope, L::THREAD),
        Some(renewed) => {
            renewed.renew(waiting);
            let record = record.filter(|record| Arc::ptr_eq(record.scope(), &renewed.scope));
            TaskRecord::recycle_or_new(record, spec, place, &renewed.scope, L::THREAD)
        }
    };
    let label = set_tuning(&record, waiting);
    let key = match pool.register(&record, slot_kind) {
        Ok(key) => key,
        Err(closed) => {
            drop_quietly(run.take());
            return Err(closed);
        }
    };
    waiting.prepare(Prepared { permit, longest_grace: None });
    slot.keep();
    let report = PoolReporter { pool: pool.clone(), key, token: None, renewed };
    let span = events::root_task_span(spec.name(), label.as_ref());
    let task = L::spawn(Task::new(record.clone(), span, run, report));
    record.set_id(task.id());
    Ok(PoolTask::new(task, record, S::error))
}

/// Reports the end of a task to its pool. Its drop removes the task from the pool, however the task ended, and then
/// releases its slot.
pub(crate) struct PoolReporter {
    pool: Arc<PoolState>,
    key: Key,
    /// The token of the run, once that has ended.
    token: Option<CancellationToken>,
    /// The replacement that the task was spawned with, if the pool had replaced its token.
    renewed: Option<Arc<Renewed>>,
}

impl Drop for PoolReporter {
    fn drop(&mut self) {
        self.pool.finish(self.key, self.token.take());
        drop(self.pool.limit.kept());
    }
}

impl<T, E: LoggedError> Report<T, E> for PoolReporter {
    type Output = Output<T, E>;

    fn completed(
        mut self,
        record: &Arc<TaskRecord>,
        ended: TaskCompletion<T, E>,
        token: Option<CancellationToken>,
        text: Option<Box<str>>,
    ) -> Output<T, E> {
        self.token = token;
        let TaskCompletion { outcome, overdue, result, .. } = ended;
        if (overdue || outcome == Outcome::Cancelled) && !is_stopped_by_handle(record) {
            if overdue {
                self.pool.on_overdue(record);
            } else {
                self.pool.on_cancelled(record);
            }
        }
        result::report(record, outcome, result, text, report_failure::<E>)
    }

    fn aborted(self, record: &Arc<TaskRecord>, _: fn(TaskError) -> E) -> Output<T, E> {
        if !is_stopped_by_handle(record) {
            self.pool.on_aborted(record);
        } else if record.control().is_unawaited() {
            let origin = record.origin();
            let error = Cancelled::new(origin.clone(), Cause::Handle).to_string();
            events::pool_task_failed(Level::DEBUG, &origin.title(), Outcome::Dropped, &error);
        }
        None
    }

    fn poll_panicked(self, record: &Arc<TaskRecord>, caught: Caught) -> Output<T, E> {
        self.pool.on_poll_panicked(record);
        result::report_unconvertible(record, caught, report_failure::<E>)
    }

    fn cancel_waker(&self) -> Option<&CancelWaker> {
        match &self.renewed {
            Some(renewed) => Some(&renewed.cancel_waker),
            None => self.pool.tasks.cancel_waker(),
        }
    }
}

/// Whether a handle has stopped the task: neither the pool nor its drain has cut it.
fn is_stopped_by_handle(record: &TaskRecord) -> bool {
    record.control().requests().is_by_handle()
}

/// Logs a failure that no one awaits. A panic was logged where it was caught.
///
/// `chain` is the text of the error with its sources, before `err_into`. It is logged if it only adds the sources: a
/// conversion may have changed the text.
#[cold]
fn report_failure<E: fmt::Display>(
    record: &TaskRecord,
    outcome: Outcome,
    error: &E,
    chain: Option<Box<str>>,
) {
    log_failure(record, outcome, error, chain);
}

/// The same, compiled once.
fn log_failure(
    record: &TaskRecord,
    outcome: Outcome,
    error: &dyn fmt::Display,
    chain: Option<Box<str>>,
) {
    let spec = record.spec();
    let task = spec.name();
    let level = match outcome {
        Outcome::Panicked => return,
        Outcome::Cancelled => Level::DEBUG,
        _ => {
            let Some(level) = spec.failure_level().level() else { return };
            if !events::pool_failures(level).admits(task) {
                return;
            }
            level
        }
    };
    // An error that the function returned may have a chain, which the alternate form of `anyhow` shows.
    let text = match outcome {
        Outcome::Error => Text::of_display(task, format_args!("{error:#}")),
        _ => Text::of_display(task, format_args!("{error}")),
    };
    let chain = chain.filter(|chain| outcome == Outcome::Error && chain.starts_with(&*text));
    let label = record.label();
    let title = TaskTitle { name: task, label: label.as_ref().map(Label::as_str) };
    events::pool_task_failed(level, &title, outcome, &chain.unwrap_or(text));
}
