//! A spawned task: the only place where the tasks of groups, pools and maps are polled, aborted and reported.
//!
//! [`TaskCell`] is the part that is the same for all tasks. It drives a [`DynTask`]. [`Task`] is the future that groups
//! and pools spawn on tokio: a cell, a run and a [`Report`].
//!
//! Invariants
//!
//! 1. The run is dropped before its end is reported. Otherwise `join` could return while a task still owns a value that
//!    the caller wants to reclaim. (`tests/spec/composition/life.rs`)
//! 2. The end is reported exactly once, even if the task is aborted or its runtime shuts down. A second report would
//!    remove another task's record; without a report, `join` would hang.
//! 3. The events of the run and of its end are inside the task's span.
//! 4. A pending task has stored its waker, and after that has checked whether it was aborted or cancelled or its scope's
//!    cancel waker has fired. Otherwise an abort between the check and the store would be lost.
//! 5. Those who wait for the end of a task are woken after it was reported. Otherwise they would find the task in its
//!    scope. (`tests/spec/behaviour/handle.rs`)

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;

use crate::{
    cause::Cause,
    clock::Ticks,
    context,
    context::cancel_waker::CancelWaker,
    context::lines,
    context::polls::WatchedPoll,
    context::tree::ScopeNode,
    context::tree::TaskRecord,
    error::{Cancelled, Origin, TaskError},
    outcome::Outcome,
    panic,
    panic::Caught,
    run::PollContext,
    run::future::{SupervisedFuture, TaskCompletion},
    run::output::ErrorNote,
    sync::atomic::{Ordering, fence},
    telemetry::events,
    telemetry::span::TaskSpan,
    token::ReplacedToken,
    tuning::Label,
};

/// Receives the end of a task, once.
pub(crate) trait Report<T, E> {
    /// What the task returns to tokio, and through it to who awaits the task.
    type Output;

    /// The run has ended.
    ///
    /// `token` is the token that the run was made with, if it is still there. `text` is the text of its error, if it
    /// failed and the text is known.
    fn completed(
        self,
        record: &Arc<TaskRecord>,
        ended: TaskCompletion<T, E>,
        token: Option<CancellationToken>,
        text: Option<Box<str>>,
    ) -> Self::Output;
    /// The task was aborted. `error` converts into the error type of the run.
    fn aborted(self, record: &Arc<TaskRecord>, error: fn(TaskError) -> E) -> Self::Output;
    /// A poll of the task panicked outside the run's `catch_unwind`: the conversion into the run's error panicked.
    fn poll_panicked(self, record: &Arc<TaskRecord>, caught: Caught) -> Self::Output;
    /// Wakes the task when the token of its scope fires.
    fn cancel_waker(&self) -> Option<&CancelWaker>;
}

/// Stores the options of the call in the task's record. Returns the label.
#[inline]
pub(crate) fn set_tuning<S: SupervisedFuture>(record: &TaskRecord, run: &S) -> Option<Label> {
    if !S::MAY_BE_TUNED {
        return None;
    }
    let tuning = run.tuning().cloned();
    let label = tuning.as_ref().and_then(|tuning| tuning.label.clone());
    record.set_tuning(tuning);
    label
}

/// Returns the error of a task that was dropped before its run ended. A scope fires its token before it aborts; if the
/// token has not fired, the task was dropped with its runtime.
///
/// `Err` is the panic of the error conversion.
pub(crate) fn error_of_abort<E>(
    scope: &ScopeNode,
    token: &CancellationToken,
    task: impl Into<Origin>,
    error: fn(TaskError) -> E,
) -> Result<E, Caught> {
    let fired = token.is_cancelled();
    let cause = if fired { scope.cause().unwrap_or(Cause::Token) } else { Cause::RuntimeGone };
    let cancelled = TaskError::Cancelled(Cancelled::new(task, cause));
    panic::catch(|| error(cancelled))
}

pin_project! {
    /// The future of a task, spawned on tokio.
    #[project = TaskProjection]
    pub(crate) struct Task<S, R>
    where
        S: SupervisedFuture,
        R: Report<S::Value, S::Error>,
    {
        cell: TaskCell,
        #[pin]
        run: Option<S>,
        report: Option<R>,
        // The token that was given to a run which has a child of it now.
        given: Option<CancellationToken>,
    }

    impl<S, R> PinnedDrop for Task<S, R>
    where
        S: SupervisedFuture,
        R: Report<S::Value, S::Error>,
    {
        fn drop(this: Pin<&mut Self>) {
            let (cell, mut task) = this.parts();
            cell.abort(&mut task);
        }
    }
}

impl<S: SupervisedFuture, R: Report<S::Value, S::Error>> Task<S, R> {
    /// Creates a task, moving the run out of `run`.
    #[inline]
    pub(crate) fn new(
        record: Arc<TaskRecord>,
        span: TaskSpan,
        run: &mut Option<S>,
        report: R,
    ) -> Self {
        Self {
            cell: TaskCell::new(record, span),
            run: run.take(),
            report: Some(report),
            given: None,
        }
    }

    #[inline]
    fn parts(self: Pin<&mut Self>) -> (&mut TaskCell, BorrowedTask<'_, S, R>) {
        let TaskProjection { cell, run, report, given } = self.project();
        let (note, output) = (Cell::new(None), None);
        (cell, BorrowedTask { run, report, given, ended: None, note, output })
    }
}

impl<S: SupervisedFuture, R: Report<S::Value, S::Error>> Future for Task<S, R> {
    type Output = R::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R::Output> {
        let (cell, mut task) = self.parts();
        ready!(cell.poll(&mut task, cx));
        Poll::Ready(task.output.take().expect("a task is polled until its end was reported"))
    }
}

/// The typed part of a task, as a [`TaskCell`] drives it.
pub(crate) trait DynTask {
    /// Whether the end has not been reported yet.
    fn is_live(&self) -> bool;
    /// Wakes the task when the token of its scope fires.
    fn cancel_waker(&self) -> Option<&CancelWaker>;
    /// Gives the run a child token before its first poll, if its body takes the token. Returns that token.
    fn own_token(&mut self) -> Option<&CancellationToken>;
    /// Polls the run. Returns whether it has ended. `now` is the start of the poll, `cancelled` whether a handle has
    /// cancelled the task.
    fn poll(&mut self, cx: &mut Context<'_>, now: Ticks, cancelled: bool) -> bool;
    /// Drops the run, inside the task.
    fn drop_run(&mut self);
    /// Drops the ended run, and reports its end. Returns its outcome.
    fn on_completed(&mut self, record: &Arc<TaskRecord>) -> Outcome;
    /// Reports that the task was dropped before its run ended.
    fn on_aborted(&mut self, record: &Arc<TaskRecord>);
    /// Reports that a poll panicked outside the run's `catch_unwind`.
    fn on_poll_panicked(&mut self, record: &Arc<TaskRecord>, caught: Caught);
}

/// The fields of a task, borrowed for one poll or for its drop.
struct BorrowedTask<'a, S: SupervisedFuture, R: Report<S::Value, S::Error>> {
    run: Pin<&'a mut Option<S>>,
    report: &'a mut Option<R>,
    given: &'a mut Option<CancellationToken>,
    ended: Option<TaskCompletion<S::Value, S::Error>>,
    /// The note of the error.
    note: Cell<Option<ErrorNote>>,
    /// Set once the end is reported.
    output: Option<R::Output>,
}

impl<S: SupervisedFuture, R: Report<S::Value, S::Error>> DynTask for BorrowedTask<'_, S, R> {
    fn is_live(&self) -> bool {
        self.report.is_some()
    }

    fn cancel_waker(&self) -> Option<&CancelWaker> {
        self.report.as_ref().and_then(Report::cancel_waker)
    }

    fn own_token(&mut self) -> Option<&CancellationToken> {
        let ReplacedToken { child, given } = self.run.as_mut().as_pin_mut()?.own_token()?;
        *self.given = Some(given);
        Some(child)
    }

    fn poll(&mut self, cx: &mut Context<'_>, now: Ticks, cancelled: bool) -> bool {
        let cancel_waker = self.report.as_ref().and_then(Report::cancel_waker);
        let run = self.run.as_mut().as_pin_mut().expect("a task is polled until it has ended");
        let poll_context = PollContext {
            cancel_waker,
            now: Some(now),
            note: Some(&self.note),
            is_cancelled: cancelled,
        };
        let Poll::Ready(ended) = run.poll_completion(cx, poll_context) else { return false };
        self.ended = Some(ended);
        true
    }

    fn drop_run(&mut self) {
        self.run.set(None);
    }

    fn on_completed(&mut self, record: &Arc<TaskRecord>) -> Outcome {
        let token = match self.given.take() {
            None => self.run.as_mut().as_pin_mut().and_then(S::take_back_token),
            given => given,
        };
        self.run.set(None);
        let report = self.report.take().expect("a task ends once");
        let ended = self.ended.take().expect("a run that has ended has a result");
        let outcome = ended.outcome;
        let note = if ended.result.is_err() { self.note.take() } else { None };
        let text = note.and_then(ErrorNote::into_text);
        self.output = Some(report.completed(record, ended, token, text));
        outcome
    }

    fn on_aborted(&mut self, record: &Arc<TaskRecord>) {
        if let Some(report) = self.report.take() {
            self.output = Some(report.aborted(record, S::error));
        }
    }

    fn on_poll_panicked(&mut self, record: &Arc<TaskRecord>, caught: Caught) {
        if let Some(report) = self.report.take() {
            self.output = Some(report.poll_panicked(record, caught));
        }
    }
}

/// The part of a task that is compiled once for all functions: its record, its span, its waker.
pub(crate) struct TaskCell {
    /// `None` only during a poll, which moves it to the thread's stack.
    record: Option<Arc<TaskRecord>>,
    // Boxed, and `None` without a subscriber that enables it, to keep tasks small.
    span: Option<Box<TaskSpan>>,
    has_waker: bool,
}

/// Whether a handle of the task, which is about to be polled, may exist. The task and the list of its scope hold one
/// reference to the record each, and a handle is cloned only from another one. What a handle that was dropped has
/// requested is visible afterwards.
fn may_have_handles(record: &Arc<TaskRecord>) -> bool {
    const OWNERS: usize = 2;
    let references = Arc::strong_count(record);
    fence(Ordering::Acquire);
    references > OWNERS
}

fn record_of(record: &Option<Arc<TaskRecord>>) -> &Arc<TaskRecord> {
    record.as_ref().expect("the stack returns a task's record when its poll ends")
}

/// Drops the run whose poll panicked.
#[cold]
fn poll_panicked(record: &mut Option<Arc<TaskRecord>>, task: &mut dyn DynTask, caught: Caught) {
    context::in_task(record, || task.drop_run());
    let record = record_of(record);
    record.clear_waker();
    task.on_poll_panicked(record, caught);
    record.set_ended(Outcome::Panicked);
}

/// Counts and times one poll, with the task as the current one.
#[inline]
fn in_poll<R>(
    record: &mut Option<Arc<TaskRecord>>,
    span: Option<&TaskSpan>,
    poll: impl FnOnce(Ticks) -> R,
) -> R {
    let (now, first) = record_of(record).enter_poll();
    if first {
        span.iter().for_each(|span| events::task_started(span));
    }
    let watched = WatchedPoll::start(now, record_of(record).thread());
    let polled = context::in_task(record, || poll(now));
    drop(watched);
    let record = record_of(record);
    if let Some(line) = lines::exit_task() {
        record.frames().set_own(record.spec(), line, now);
    }
    record.exit_poll();
    polled
}

impl TaskCell {
    #[inline]
    pub(crate) fn new(record: Arc<TaskRecord>, span: TaskSpan) -> Self {
        let span = if span.is_disabled() { None } else { Some(Box::new(span)) };
        Self { record: Some(record), span, has_waker: false }
    }

    /// Returns the task's record. Not available during a poll, when the thread's stack has it.
    pub(crate) fn record(&self) -> &Arc<TaskRecord> {
        record_of(&self.record)
    }

    /// Runs `code` as a poll of a task that can neither be aborted nor woken: main's body, a map's first read.
    ///
    /// Does not catch panics.
    pub(crate) fn enter<R>(&mut self, code: impl FnOnce() -> R) -> R {
        let _inside = self.span.as_ref().map(|span| span.enter());
        in_poll(&mut self.record, self.span.as_deref(), |_| code())
    }

    /// Polls the task, and reports its end.
    pub(crate) fn poll(&mut self, task: &mut dyn DynTask, cx: &mut Context<'_>) -> Poll<()> {
        let mut requests = self.record().control().requests();
        if requests.is_aborted() {
            self.abort(task);
            return Poll::Ready(());
        }
        // Its first poll: it keeps its waker as soon as it is pending.
        if !self.has_waker && self.record().spec().takes_token() {
            if let Some(token) = task.own_token() {
                if may_have_handles(self.record()) {
                    self.record().set_token(token);
                }
                // A handle that is gone may have cancelled the task.
                requests = self.record().control().requests();
            }
        }
        let cancelled = requests.is_cancelled();
        let _inside = self.span.as_ref().map(|span| span.enter());
        let polled = in_poll(&mut self.record, self.span.as_deref(), |now| {
            panic::catch_escaped(|| task.poll(cx, now, cancelled))
        });
        let has_ended = match polled {
            Ok(has_ended) => has_ended,
            Err(caught) => {
                poll_panicked(&mut self.record, task, caught);
                return Poll::Ready(());
            }
        };
        let record = record_of(&self.record);
        if has_ended {
            record.set_finished();
            if self.has_waker {
                record.clear_waker();
            }
            let outcome = task.on_completed(record);
            record.set_ended(outcome);
            return Poll::Ready(());
        }
        if !std::mem::replace(&mut self.has_waker, true) {
            record.set_waker(cx.waker());
            if !record.control().requests().is_empty()
                || task.cancel_waker().is_some_and(CancelWaker::fired)
            {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }

    /// Drops the run and reports its end, unless the end was reported already.
    pub(crate) fn abort(&mut self, task: &mut dyn DynTask) {
        if !task.is_live() {
            return;
        }
        let _inside = self.span.as_ref().map(|span| span.enter());
        context::in_task(&mut self.record, || task.drop_run());
        let record = record_of(&self.record);
        record.clear_waker();
        task.on_aborted(record);
        record.set_dropped();
    }
}
