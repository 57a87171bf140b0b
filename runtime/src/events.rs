//! What is told through `tracing`, once each, at the boundary. A subscriber that panics loses what it is told,
//! and nothing else: see `span.rs`.

use std::{fmt, panic::Location, time::Duration};

use tokio::task::Id;
use tracing::{Span, field};

use crate::{
    Outcome, Panic, PanicLocation, Signal, TaskError, recent,
    span::{TaskSpan, tell},
};

/// The span of a task of a group: inside that of who spawns it.
pub(crate) fn task_span(name: &'static str) -> TaskSpan {
    TaskSpan::new(|| {
        tracing::info_span!(
            target: "tokio_supervised",
            "task",
            task.name = name,
            task.id = field::Empty
        )
    })
}

/// The same for a runner of a map, which another runner may spawn: inside that of who called the map.
pub(crate) fn task_span_in(spawner: &TaskSpan, name: &'static str) -> TaskSpan {
    TaskSpan::new(|| {
        tracing::info_span!(
            target: "tokio_supervised",
            parent: spawner.as_span(),
            "task",
            task.name = name,
            task.id = field::Empty
        )
    })
}

/// The span of a task of a pool, which outlives who spawns it: inside none.
pub(crate) fn root_task_span(name: &'static str) -> TaskSpan {
    let span = TaskSpan::new(|| {
        tracing::info_span!(
            target: "tokio_supervised",
            parent: None,
            "task",
            task.name = name,
            task.id = field::Empty
        )
    });
    if !span.is_disabled() {
        tell(|| _ = span.as_span().follows_from(Span::current().id()));
    }
    span
}

/// What tokio calls the task, as soon as that is known.
pub(crate) fn task_began(span: &TaskSpan) {
    if !span.is_disabled() {
        tell(|| _ = span.as_span().record("task.id", tokio::task::try_id().map(field::display)));
    }
}

/// `ERROR`: a panic that a boundary caught.
#[cold]
pub(crate) fn panicked(panic: &Panic) {
    recent::remember(panic);
    let location = panic.location();
    tell(|| {
        tracing::error!(
            target: "tokio_supervised",
            {
                "task.name" = panic.task(),
                "task.id" = tokio::task::try_id().map(field::display),
                "exception.type" = "panic",
                "exception.message" = panic.message(),
                "exception.stacktrace" = panic.backtrace().map(field::display),
                "code.file.path" = location.map(PanicLocation::file),
                "code.line.number" = location.map(PanicLocation::line),
            },
            "{panic}"
        );
    });
}

/// `WARN`: a body that had the token did not end within its grace, and was dropped.
#[cold]
pub(crate) fn did_not_stop(task: &'static str, grace: Duration) {
    tell(|| {
        tracing::warn!(
            target: "tokio_supervised",
            { "task.name" = task, "grace" = ?grace },
            "task `{task}` did not stop within its grace of {grace:?}: dropped"
        );
    });
}

/// `WARN`: a run ended, and another one follows.
#[cold]
pub(crate) fn restarts(task: &'static str, outcome: Outcome, number: u64, wait: Duration) {
    tell(|| {
        tracing::warn!(
            target: "tokio_supervised",
            { "task.name" = task, "outcome" = outcome.as_str(), "restart" = number, "wait" = ?wait },
            "task `{task}` ended as `{outcome}`: restart {number} in {wait:?}"
        );
    });
}

/// `ERROR`: a run ended, and no other one follows, since there were too many.
#[cold]
pub(crate) fn gave_up(task: &'static str, outcome: Outcome, most: u32, window: Duration) {
    tell(|| {
        tracing::error!(
            target: "tokio_supervised",
            { "task.name" = task, "outcome" = outcome.as_str(), "restarts" = most, "window" = ?window },
            "task `{task}` ended as `{outcome}` and gives up: {most} restarts within {window:?} were allowed"
        );
    });
}

/// What a function that returns `()` has no other way to tell.
#[cold]
pub(crate) fn swallowed(error: &TaskError) {
    let task = error.task();
    match error {
        // Told by `panicked` already.
        TaskError::Panicked(_) => {}
        // Someone asked for it.
        TaskError::Cancelled(_) => {
            tell(|| tracing::debug!(target: "tokio_supervised", { "task.name" = task }, "{error}"));
        }
        TaskError::TimedOut(_) | TaskError::Rejected(_) => {
            tell(|| tracing::warn!(target: "tokio_supervised", { "task.name" = task }, "{error}"));
        }
    }
}

/// `WARN`: a group was dropped while tasks of it were running.
#[cold]
pub(crate) fn group_dropped(tasks: usize, place: &Location<'_>) {
    tell(|| {
        tracing::warn!(
            target: "tokio_supervised",
            { "tasks" = tasks },
            "a group made at {place} was dropped with {tasks} of its tasks running: cancelled and aborted; call `join` to wait for them"
        );
    });
}

/// `WARN`: a task of a pool failed; where it was told to stop, `DEBUG`.
pub(crate) fn pool_task_failed(task: &'static str, outcome: Outcome, error: &str) {
    macro_rules! at {
        ($level:ident) => {
            tracing::$level!(
                target: "tokio_supervised",
                {
                    "task.name" = task,
                    "task.id" = tokio::task::try_id().map(field::display),
                    "outcome" = outcome.as_str(),
                    "error" = error,
                },
                "task `{task}` of a pool ended as {outcome}: {error}"
            )
        };
    }
    tell(|| match outcome {
        Outcome::Cancelled => at!(debug),
        _ => at!(warn),
    });
}

/// `WARN`: a pool was drained, and a task of it did not stop.
#[cold]
pub(crate) fn not_drained(
    name: &'static str,
    id: Option<Id>,
    task: &impl fmt::Display,
    grace: Duration,
) {
    tell(|| {
        tracing::warn!(
            target: "tokio_supervised",
            {
                "task.name" = name,
                "task.id" = id.map(field::display),
                "grace" = ?grace,
            },
            "a pool was drained, and a task did not stop within {grace:?}: {task}"
        );
    });
}

/// `WARN`: the last handle of a pool was dropped while tasks of it were running.
#[cold]
pub(crate) fn pool_dropped(tasks: &[impl fmt::Display], place: &Location<'_>) {
    let count = tasks.len();
    let mut list: Vec<_> = tasks.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    if count > MOST_NAMED {
        list.push(format!("and {} more", count - MOST_NAMED));
    }
    let list = list.join("; ");
    tell(|| {
        tracing::warn!(
            target: "tokio_supervised",
            { "tasks" = count, "unfinished" = list.as_str() },
            "a pool made at {place} was dropped with {count} of its tasks running: cancelled, and aborted where they can be; call `drain` to let them finish: {list}"
        );
    });
}

/// `WARN`: the token of a pool was fired by something other than the pool.
#[cold]
pub(crate) fn pool_cancelled_by_another(place: &Location<'_>) {
    tell(|| {
        tracing::warn!(
            target: "tokio_supervised",
            "the token of the pool made at {place} was cancelled by something other than the pool, and its running tasks with it: later tasks get a new token; in the closure of a spawn, cancel `token.child_token()` instead"
        );
    });
}

/// As many as a line of a log can bear.
const MOST_NAMED: usize = 8;

/// `INFO`: the process was told to stop.
pub(crate) fn shutting_down(signal: Signal, grace: Duration) {
    tell(|| {
        tracing::info!(
            target: "tokio_supervised",
            { "signal" = %signal, "grace" = ?grace },
            "shutting down: received {signal}"
        );
    });
}

/// `ERROR`: main has ended, and pools are left that could not be drained.
pub(crate) fn undrained(unfinished: &str) {
    tell(|| {
        tracing::error!(
            target: "tokio_supervised",
            { "unfinished" = unfinished },
            "the pools could not be drained: exiting with what did not stop"
        );
    });
}

/// `ERROR`: the grace of main is spent.
pub(crate) fn grace_spent(grace: Duration, unfinished: &str) {
    tell(|| {
        tracing::error!(
            target: "tokio_supervised",
            { "grace" = ?grace, "unfinished" = unfinished },
            "the grace of {grace:?} is spent: exiting with what did not stop"
        );
    });
}
