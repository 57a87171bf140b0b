//! Every event that the runtime logs through `tracing`, once each, with the rate limits of frequent ones. A subscriber
//! that panics loses the event, and nothing else: see `span.rs`.

pub(crate) mod rate;

use std::{fmt, panic::Location, time::Duration};

use tokio::task::Id;
use tracing::{Level, Span, field};

use crate::{
    cause::{Cause, Signal},
    error::{Origin, Panic, TaskError},
    outcome::Outcome,
    panic::{PanicLocation, backtraces, recent},
    telemetry::events::rate::Rate,
    telemetry::span::{TaskSpan, call_subscriber},
    tuning::{Label, TaskTitle},
};

/// Declares the bound of the failures of pool tasks at one level.
macro_rules! pool_failures {
    ($name:ident, $level:ident) => {
        static $name: Rate = Rate::new(Level::$level, |task, count, within| {
            more_failed(Level::$level, "pool", task, count, within);
        });
    };
}

pool_failures!(POOL_FAILURES, ERROR);
pool_failures!(POOL_WARNINGS, WARN);
pool_failures!(POOL_NOTES, INFO);
pool_failures!(POOL_DETAILS, DEBUG);

/// The bound of the failures of pool tasks, which have no caller to return them to, at the level of their function.
pub(crate) fn pool_failures(level: Level) -> &'static Rate {
    match level {
        Level::ERROR => &POOL_FAILURES,
        Level::WARN => &POOL_WARNINGS,
        Level::INFO => &POOL_NOTES,
        _ => &POOL_DETAILS,
    }
}

/// The failures of group tasks that no join returns.
static GROUP_FAILURES: Rate = Rate::new(Level::WARN, |task, count, within| {
    more_failed(Level::WARN, "group", task, count, within);
});

/// The failures of runs that a map does not return.
static MAP_FAILURES: Rate = Rate::new(Level::WARN, |task, count, within| {
    more_failed(Level::WARN, "map", task, count, within);
});

/// Panics, with their backtraces.
static PANICS: Rate = Rate::new(Level::ERROR, more_panicked);

/// Declares the bound of warnings about one function.
macro_rules! warnings {
    ($($(#[$attribute:meta])* $name:ident: $happened:literal,)*) => {
        $(
            $(#[$attribute])*
            static $name: Rate = Rate::new(Level::WARN, |task, count, within| {
                more_happened($happened, task, count, within);
            });
        )*
    };
}

warnings! {
    /// Polls that block their worker.
    BLOCKED: "blocked its thread in a poll",
    /// Runs that another one follows.
    RESTARTS: "ended and restarted",
    /// Runs that none follows, although their function restarts.
    LAST_RUNS: "ended and did not restart",
    /// Runs whose caller gets no error, since their function returns `()`.
    DISCARDED: "was rejected or timed out",
    /// Runs that were dropped at the end of their grace.
    OVERDUE: "did not stop within its grace",
}

/// Every bound, to be flushed.
static ALL: [&Rate; 12] = [
    &POOL_FAILURES,
    &POOL_WARNINGS,
    &POOL_NOTES,
    &POOL_DETAILS,
    &GROUP_FAILURES,
    &MAP_FAILURES,
    &PANICS,
    &BLOCKED,
    &RESTARTS,
    &LAST_RUNS,
    &DISCARDED,
    &OVERDUE,
];

/// Logs every count now: the thread that would log it later may be killed before.
pub(crate) fn flush_all() {
    ALL.iter().for_each(|rate| rate.flush(None));
}

/// Whether [`flush_all`] has something to log.
pub(crate) fn has_counted() -> bool {
    ALL.iter().any(|rate| rate.has_counted())
}

/// The span of a task of a group or a worker of a map: a child of the span in which the scope was created, no matter
/// which task spawns it. As children of the spawner's span, the spans of tasks that spawn their successors would nest
/// without bound. If the scope is nested too deeply (`is_cut`), the span has no parent.
#[inline]
pub(crate) fn task_span(
    made_in: &TaskSpan,
    is_cut: bool,
    name: &'static str,
    label: Option<&Label>,
) -> TaskSpan {
    if TaskSpan::is_off() {
        return TaskSpan::none();
    }
    new_task_span((!is_cut).then_some(made_in), name, label)
}

/// The span of a task of a pool, which outlives its spawner: inside none.
#[inline]
pub(crate) fn root_task_span(name: &'static str, label: Option<&Label>) -> TaskSpan {
    if TaskSpan::is_off() {
        return TaskSpan::none();
    }
    new_task_span(None, name, label)
}

/// Creates a span inside `parent`. It follows from that of the spawner, unless that is the parent.
#[inline(never)]
fn new_task_span(parent: Option<&TaskSpan>, name: &'static str, label: Option<&Label>) -> TaskSpan {
    let parent = || parent.and_then(|parent| parent.as_span().id());
    let span = TaskSpan::new(|| {
        tracing::info_span!(
            target: "tokio_supervised",
            parent: parent(),
            "task",
            task.name = name,
            task.label = label.map(Label::as_str),
            task.id = field::Empty
        )
    });
    if !span.is_disabled() {
        call_subscriber(|| {
            let spawner = Span::current().id();
            if spawner != parent() {
                span.as_span().follows_from(spawner);
            }
        });
    }
    span
}

/// Records tokio's id of the task, which is known from its first poll on.
pub(crate) fn task_started(span: &TaskSpan) {
    if !span.is_disabled() {
        call_subscriber(|| {
            _ = span.as_span().record("task.id", tokio::task::try_id().map(field::display))
        });
    }
}

/// `ERROR`: a panic that a boundary caught; its backtrace follows as `INFO`. If a function panics more than 10 times a
/// second, the other panics are counted.
#[cold]
pub(crate) fn panicked(panic: &Panic) {
    recent::record(panic);
    if !PANICS.admits(panic.task()) {
        return;
    }
    let location = panic.location();
    call_subscriber(|| {
        tracing::error!(
            target: "tokio_supervised",
            {
                "task.name" = panic.task(),
                "task.label" = panic.label(),
                "task.id" = tokio::task::try_id().map(field::display),
                "exception.type" = "panic",
                "exception.message" = panic.message(),
                "code.file.path" = location.map(PanicLocation::file),
                "code.line.number" = location.map(PanicLocation::line),
            },
            "{panic}"
        );
    });
    backtraces::log(panic);
}

/// `ERROR`: the number of panics that were not logged one by one.
#[cold]
fn more_panicked(task: &'static str, count: u64, within: Duration) {
    let within = whole_millis(within);
    tracing::error!(
        target: "tokio_supervised",
        parent: None,
        { "task.name" = task, "panics" = count, "within" = ?within },
        "task `{task}` panicked {count} more times within {within:?}"
    );
}

/// `WARN`: a poll has blocked its worker for `time`, and has not ended.
pub(crate) fn blocks_worker(
    title: &TaskTitle<'_>,
    id: Option<Id>,
    place: &Location<'_>,
    waited_at: Option<&str>,
    time: Duration,
    thread: Option<u64>,
) {
    if !BLOCKED.admits(title.name) {
        return;
    }
    let time = whole_millis(time);
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            {
                "task.name" = title.name,
                "task.label" = title.label,
                "task.id" = id.map(field::display),
                "task.place" = %place,
                "task.waited_at" = waited_at,
                "blocked" = ?time,
                "thread.id" = thread,
            },
            "{title} spawned at {place} has blocked its thread for {time:?}{}{}: no other task runs there meanwhile; move blocking work to `spawn_blocking`, and long computations too, or divide them with `tokio::task::yield_now().await`",
            if waited_at.is_some() { " since its `.await` at " } else { "" },
            waited_at.unwrap_or_default(),
        );
    });
}

/// `WARN`: the number of warnings that were not logged one by one.
#[cold]
fn more_happened(happened: &str, task: &'static str, count: u64, within: Duration) {
    let within = whole_millis(within);
    tracing::warn!(
        target: "tokio_supervised",
        parent: None,
        { "task.name" = task, "times" = count, "within" = ?within },
        "task `{task}` {happened} {count} more times within {within:?}"
    );
}

/// `WARN`: a body that had the token did not end within its grace, and was dropped.
#[cold]
pub(crate) fn did_not_stop(task: &Origin, grace: Duration) {
    let title = task.title();
    if !OVERDUE.admits(title.name) {
        return;
    }
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            { "task.name" = title.name, "task.label" = title.label, "grace" = ?grace },
            "{title} did not stop within its grace of {grace:?} and was dropped"
        );
    });
}

/// `WARN`: a run ended, and another one follows. Nothing else reports the error of the run.
#[cold]
pub(crate) fn restarts(
    task: &Origin,
    outcome: Outcome,
    error: Option<&str>,
    number: u64,
    wait: Duration,
) {
    let (title, readable) = (task.title(), whole_millis(wait));
    if !RESTARTS.admits(title.name) {
        return;
    }
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            {
                "task.name" = title.name,
                "task.label" = title.label,
                "outcome" = outcome.as_str(),
                "error" = error,
                "restart" = number,
                "wait" = ?wait,
            },
            "{title} ended as `{outcome}`{}: restart {number} in {readable:?}",
            InParentheses(error)
        );
    });
}

/// The text of an error, if there is one.
struct InParentheses<'a>(Option<&'a str>);

impl fmt::Display for InParentheses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |text| write!(f, " ({text})"))
    }
}

/// `WARN`: a run ended, and the runtime has no timer for the wait before the next one. Nothing else reports the error
/// of the run: the call returns the panic of the timer.
#[cold]
pub(crate) fn cannot_restart(task: &Origin, outcome: Outcome, error: Option<&str>) {
    let title = task.title();
    if !LAST_RUNS.admits(title.name) {
        return;
    }
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            {
                "task.name" = title.name,
                "task.label" = title.label,
                "outcome" = outcome.as_str(),
                "error" = error,
            },
            "{title} ended as `{outcome}`{}; it cannot restart because its runtime has no timer: build the runtime with `enable_time`",
            InParentheses(error)
        );
    });
}

/// `WARN`: a run ended, and its call does not restart because `max_restarts` was reached. The failure itself is the
/// result of the call: its caller reports it, or the pool or group that it was spawned into.
#[cold]
pub(crate) fn restarts_exhausted(task: &Origin, outcome: Outcome, most: u32, window: Duration) {
    let title = task.title();
    if !LAST_RUNS.admits(title.name) {
        return;
    }
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            {
                "task.name" = title.name,
                "task.label" = title.label,
                "outcome" = outcome.as_str(),
                "restarts" = most,
                "window" = ?window,
            },
            "{title} ended as `{outcome}` and is not restarted again: `max_restarts` allows {most} within {window:?}"
        );
    });
}

/// An error that a function that returns `()` cannot return.
#[cold]
pub(crate) fn error_discarded(error: &TaskError) {
    let TaskTitle { name, label } = error.title();
    match error {
        // `panicked` has logged it.
        TaskError::Panicked(_) => {}
        // It was requested.
        TaskError::Cancelled(_) => {
            call_subscriber(
                || tracing::debug!(target: "tokio_supervised", { "task.name" = name, "task.label" = label }, "{error}"),
            );
        }
        TaskError::TimedOut(_) | TaskError::Rejected(_) if !DISCARDED.admits(name) => {}
        TaskError::TimedOut(_) | TaskError::Rejected(_) => {
            call_subscriber(
                || tracing::warn!(target: "tokio_supervised", { "task.name" = name, "task.label" = label }, "{error}"),
            );
        }
    }
}

/// `WARN`: a group was dropped while tasks of it were running.
#[cold]
pub(crate) fn group_dropped(tasks: usize, place: &Location<'_>) {
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            { "tasks" = tasks },
            "the group created at {place} was dropped with {tasks} of its tasks running; they were cancelled and, unless blocking, aborted: call `join` to wait for them"
        );
    });
}

/// A scope that returns one failure, and logs the others.
pub(crate) enum FailedScope<'a> {
    /// Where it was made.
    Group(&'a Location<'a>),
    Map,
}

impl fmt::Display for FailedScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(place) => write!(f, "its group created at {place}"),
            Self::Map => f.write_str("the map"),
        }
    }
}

/// `WARN`: a task of a group or a run of a map failed, and the scope does not return it. If it was cancelled, `DEBUG`;
/// a panic was logged when it was caught.
///
/// `place` is that of the spawn, or of the map.
#[cold]
pub(crate) fn task_failed(
    scope: &FailedScope<'_>,
    title: &TaskTitle<'_>,
    place: &Location<'_>,
    outcome: Outcome,
    error: Option<&str>,
    why: &str,
) {
    let (failures, placed) = match scope {
        FailedScope::Group(_) => (&GROUP_FAILURES, "spawned at"),
        FailedScope::Map => (&MAP_FAILURES, "of a map created at"),
    };
    macro_rules! at {
        ($level:ident) => {
            tracing::$level!(
                target: "tokio_supervised",
                {
                    "task.name" = title.name,
                    "task.label" = title.label,
                    "task.id" = tokio::task::try_id().map(field::display),
                    "task.place" = %place,
                    "outcome" = outcome.as_str(),
                    "error" = error,
                },
                "{title} {placed} {place} ended as {outcome}{}{}; {scope} {why}",
                if error.is_some() { ": " } else { "" },
                error.unwrap_or_default()
            )
        };
    }
    match outcome {
        Outcome::Panicked => {}
        Outcome::Cancelled => _ = call_subscriber(|| at!(debug)),
        _ if failures.admits(title.name) => _ = call_subscriber(|| at!(warn)),
        _ => {}
    }
}

/// At the level of the failures: the number of failures of tasks of pools or groups, or of runs of maps, that were not
/// logged one by one.
#[cold]
fn more_failed(level: Level, scope: &str, task: &'static str, count: u64, within: Duration) {
    let within = whole_millis(within);
    macro_rules! at {
        ($level:ident) => {
            tracing::$level!(
                target: "tokio_supervised",
                parent: None,
                { "task.name" = task, "failures" = count, "within" = ?within },
                "task `{task}` of a {scope} failed {count} more times within {within:?}"
            )
        };
    }
    match level {
        Level::ERROR => at!(error),
        Level::WARN => at!(warn),
        Level::INFO => at!(info),
        _ => at!(debug),
    }
}

/// Cuts a duration to whole milliseconds, for an event. A shorter one stays as it is.
fn whole_millis(duration: Duration) -> Duration {
    match u64::try_from(duration.as_millis()) {
        Ok(0) => duration,
        Ok(millis) => Duration::from_millis(millis),
        Err(_) => Duration::MAX,
    }
}

/// `WARN`: a group refused spawns whose callers were not notified.
#[cold]
pub(crate) fn group_refused(spawns: usize, task: &'static str, cause: Cause, place: &Location<'_>) {
    let spawns_of = if spawns == 1 { "spawn, of" } else { "spawns, the first of" };
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            { "task.name" = task, "refused" = spawns, "cause" = %cause },
            "the group created at {place} refused {spawns} {spawns_of} task `{task}` because it was cancelled: {cause}"
        );
    });
}

/// At `level`: a task of a pool failed or was cancelled; it has no caller to return the error to.
///
/// For a failure, the caller checks [`pool_failures`] first.
pub(crate) fn pool_task_failed(level: Level, title: &TaskTitle<'_>, outcome: Outcome, error: &str) {
    macro_rules! at {
        ($level:ident) => {
            tracing::$level!(
                target: "tokio_supervised",
                {
                    "task.name" = title.name,
                    "task.label" = title.label,
                    "task.id" = tokio::task::try_id().map(field::display),
                    "outcome" = outcome.as_str(),
                    "error" = error,
                },
                "{title} of a pool ended as {outcome}: {error}"
            )
        };
    }
    call_subscriber(|| match level {
        Level::ERROR => at!(error),
        Level::WARN => at!(warn),
        Level::INFO => at!(info),
        _ => at!(debug),
    });
}

/// A pool in an event.
#[derive(Clone, Copy)]
pub(crate) struct PoolTitle {
    pub(crate) name: Option<&'static str>,
    pub(crate) place: &'static Location<'static>,
}

/// ``pool `saves` created at src/main.rs:12:9``
impl fmt::Display for PoolTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => write!(f, "pool `{name}` created at {}", self.place),
            None => write!(f, "pool created at {}", self.place),
        }
    }
}

/// `WARN`: a pool was drained, and some of its tasks did not finish. The lists name them.
#[cold]
pub(crate) fn not_drained(tasks: usize, unfinished: &str, cut: &str, pool: PoolTitle) {
    let [unfinished, cut] = [unfinished, cut].map(|list| (!list.is_empty()).then_some(list));
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            { "pool" = pool.name, "tasks" = tasks, "unfinished" = unfinished, "cut" = cut },
            "the {pool} was drained, but {tasks} of its tasks did not finish"
        );
    });
}

/// `WARN`: tasks of a pool were dropped by their runtime, or were ended by a panic outside of their bodies.
#[cold]
pub(crate) fn pool_tasks_lost(tasks: usize, cut: &str, pool: PoolTitle) {
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            { "pool" = pool.name, "tasks" = tasks, "cut" = cut },
            "the {pool} lost {tasks} of its tasks: their runtime was dropped, or they panicked outside of their bodies"
        );
    });
}

/// `WARN`: systemd was not notified that the services are ready.
#[cold]
pub(crate) fn not_notified(error: &std::io::Error) {
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            "systemd was not notified that the services are ready: {error}; the unit waits until its `TimeoutStartSec`"
        );
    });
}

/// `INFO`: a service was started.
#[cold]
pub(crate) fn service_started(service: &str) {
    call_subscriber(|| {
        tracing::info!(
            target: "tokio_supervised",
            { "service" = service },
            "service `{service}` has started"
        );
    });
}

/// `INFO`: a service has ended, however it did.
#[cold]
pub(crate) fn service_stopped(service: &str) {
    call_subscriber(|| {
        tracing::info!(
            target: "tokio_supervised",
            { "service" = service },
            "service `{service}` has stopped"
        );
    });
}

/// `WARN`: the `run` of services was dropped while services were running.
#[cold]
pub(crate) fn services_dropped(services: usize, place: &Location<'_>) {
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            { "services" = services },
            "the `run` of services made at {place} was dropped with {services} of them running: cancelled, and aborted where they can be; await it to let them stop"
        );
    });
}

/// `WARN`: a service failed, and `run` does not return the failure.
#[cold]
pub(crate) fn service_failed(service: &str, outcome: Outcome, error: Option<&str>, why: &str) {
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            { "service" = service, "outcome" = outcome.as_str(), "error" = error },
            "service `{service}` ended as {outcome}{}{}; {why}",
            if error.is_some() { ": " } else { "" },
            error.unwrap_or_default()
        );
    });
}

/// `WARN`: the last handle of a pool was dropped while tasks of it were running.
#[cold]
pub(crate) fn pool_dropped(count: usize, list: &str, pool: PoolTitle) {
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            { "pool" = pool.name, "tasks" = count, "unfinished" = list },
            "the {pool} was dropped with {count} of its tasks running; they were cancelled and, unless blocking, aborted: call `drain` to let them finish"
        );
    });
}

/// `WARN`: the token of a pool was fired by something other than the pool.
#[cold]
pub(crate) fn pool_cancelled_by_another(pool: PoolTitle) {
    call_subscriber(|| {
        tracing::warn!(
            target: "tokio_supervised",
            { "pool" = pool.name },
            "the token of the {pool} was cancelled by something other than the pool, which cancelled its running tasks; later tasks get a new token: in a spawn's closure, cancel `token.child_token()` instead"
        );
    });
}

/// How many lines of tasks a report has, in an event or in an `Unfinished`; the others are counted.
pub(crate) const MOST_NAMED: usize = 64;

/// `INFO`: the process received a signal to stop.
pub(crate) fn shutting_down(signal: Signal, grace: Duration) {
    call_subscriber(|| {
        tracing::info!(
            target: "tokio_supervised",
            { "signal" = %signal, "grace" = ?grace },
            "shutting down: received {signal}"
        );
    });
}

/// `ERROR`: main has ended, and some pools could not be drained.
pub(crate) fn undrained(unfinished: &str) {
    call_subscriber(|| {
        tracing::error!(
            target: "tokio_supervised",
            { "unfinished" = unfinished },
            "some tasks of pools did not finish: exiting with code 75"
        );
    });
}

/// `ERROR`: the grace of main has expired.
pub(crate) fn grace_spent(grace: Duration, unfinished: &str) {
    call_subscriber(|| {
        tracing::error!(
            target: "tokio_supervised",
            { "grace" = ?grace, "unfinished" = unfinished },
            "the grace of {grace:?} expired before all tasks stopped: exiting with code 75"
        );
    });
}
