//! One task of a pool: made by its closure, entered, spawned, told.

use std::{fmt, panic::Location, sync::Arc};

use crate::{
    context::cancel_waker::CancelWaker,
    context::tree::TaskRecord,
    error::TaskError,
    function::TaskSpec,
    function::limit::{Permit, Slot},
    outcome::Outcome,
    panic,
    panic::{Caught, drop_quietly},
    registry::slab::Key,
    run::future::{Prepared, SupervisedFuture, TaskCompletion},
    run::output::panicked,
    telemetry::events,
    token::call_closure,
};
use crate::{
    pool::state::{PoolState, SlotKind},
    pool::token::Renewed,
    tasks::cell::{Report, Task},
    tasks::name::task_name,
    tasks::refused::{Closed, LoggedError},
    tasks::spawner::Spawner,
};
use tokio_util::sync::CancellationToken;

/// Calls the closure of a spawn. There is nothing to spawn where it panics, which is told here.
///
/// The run is put into its place.
pub(crate) fn make_run<S: SupervisedFuture, F: FnOnce(CancellationToken) -> S>(
    pool: &PoolState,
    task: F,
    run: &mut Option<S>,
) -> Option<PreparedRun> {
    let (token, record) = pool.task_parts();
    let spec = call_closure(|| run.insert(task(token)).spec());
    let spec = spec.map_err(|caught| drop(panicked(task_name::<S, F>(), caught))).ok()?;
    Some(PreparedRun { spec, record })
}

/// What a spawn knows of the run that was made for it.
pub(crate) struct PreparedRun {
    pub(crate) spec: &'static TaskSpec,
    /// What an ended task has left.
    pub(crate) record: Option<Arc<TaskRecord>>,
}

/// Spawns a run that has its slot, and its permit unless it waits for that by itself.
pub(crate) fn spawn_run<S, L>(
    pool: &Arc<PoolState>,
    run: &mut Option<S>,
    record: Option<Arc<TaskRecord>>,
    (slot, permit): (Slot, Option<Permit>),
    place: &'static Location<'static>,
    slot_kind: SlotKind,
) -> Result<(), Closed>
where
    S: SupervisedFuture<Error: LoggedError>,
    L: Spawner<S>,
{
    let waiting = run.as_mut().expect("a run is spawned once");
    let spec = waiting.spec();
    let renewed = pool.renewed();
    let record = match &renewed {
        None => TaskRecord::recycle_or_new(record, spec, place, &pool.scope, L::THREAD),
        Some(renewed) => {
            renewed.renew(waiting);
            let record = record.filter(|record| Arc::ptr_eq(record.scope(), &renewed.scope));
            TaskRecord::recycle_or_new(record, spec, place, &renewed.scope, L::THREAD)
        }
    };
    let key = match pool.register(&record, slot_kind) {
        Ok(key) => key,
        Err(closed) => {
            drop_quietly(run.take());
            return Err(closed);
        }
    };
    waiting.prepare(Prepared { permit, longest_grace: None });
    let report = PoolReporter { pool: pool.clone(), key, token: None, renewed, _slot: slot };
    let span = events::root_task_span(spec.name());
    let id = L::spawn(Task::new(record.clone(), span, run, report));
    record.set_id(id);
    Ok(())
}

/// Tells the pool; dropped, the task has left it, whatever happened on the way.
struct PoolReporter {
    pool: Arc<PoolState>,
    key: Key,
    /// What the run was given, once it has ended.
    token: Option<CancellationToken>,
    /// What it was spawned with, if the pool had renewed its token.
    renewed: Option<Arc<Renewed>>,
    /// Given back after the task has left.
    _slot: Slot,
}

impl Drop for PoolReporter {
    fn drop(&mut self) {
        self.pool.finish(self.key, self.token.take());
    }
}

impl<T, E: LoggedError> Report<T, E> for PoolReporter {
    fn completed(
        mut self,
        record: &Arc<TaskRecord>,
        ended: TaskCompletion<T, E>,
        token: Option<CancellationToken>,
    ) {
        self.token = token;
        if ended.overdue {
            self.pool.on_overdue(record);
        } else if ended.outcome == Outcome::Cancelled {
            self.pool.on_cancelled(record);
        }
        match ended.result {
            Ok(value) => drop_quietly(value),
            Err(error) => {
                report_failure(record.spec().name(), ended.outcome, &error);
                drop_quietly(error);
            }
        }
    }

    fn aborted(self, record: &Arc<TaskRecord>, _: fn(TaskError) -> E) {
        self.pool.on_aborted(record);
    }

    fn poll_panicked(self, record: &Arc<TaskRecord>, caught: Caught, _: fn(TaskError) -> E) {
        drop_quietly(caught);
        self.pool.on_poll_panicked(record);
    }

    fn cancel_waker(&self) -> Option<&CancelWaker> {
        match &self.renewed {
            Some(renewed) => Some(&renewed.cancel_waker),
            None => self.pool.first_cancel_waker(),
        }
    }
}

/// Logs a failure that nobody awaits. A panic was logged where it was caught.
fn report_failure(task: &'static str, outcome: Outcome, error: &dyn fmt::Display) {
    if outcome == Outcome::Panicked {
        return;
    }
    if outcome != Outcome::Cancelled && !events::POOL_FAILURES.admits(task) {
        return;
    }
    // An error of the function's own may have a chain, which the alternate form of `anyhow` shows.
    let text = panic::catch(|| match outcome {
        Outcome::Error => format!("{error:#}"),
        _ => error.to_string(),
    });
    let text = text.unwrap_or_else(|caught| {
        _ = panicked(task, caught);
        "its error panicked when it was displayed".to_owned()
    });
    events::pool_task_failed(task, outcome, &text);
}
