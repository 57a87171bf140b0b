//! One spawn: a run in a tokio task, which tells its scope how it ended.
//!
//! Invariants
//!
//! 1. The run is dropped before its end is reported: who is told that a task has ended finds nothing of it.
//! 2. The end is reported once, also when the task is aborted or its runtime shuts down.
//! 3. All that the run and its end tell is told inside the task's span.
//! 4. A task that is pending has kept its waker, and looked since whether it is aborted or its scope's alarm has
//!    rung: who rings or aborts wakes it, or is seen.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;

use crate::{
    Cause, TaskError,
    clock::Ticks,
    events,
    panic::{self, Caught, drop_quietly},
    run::{Around, Ended, SupervisedFuture, alarm::Alarm, frame, row::Row, scope::Scope},
    span::TaskSpan,
};

/// Where a task's end is told.
pub(super) trait Report<T, E> {
    /// The run has ended by itself.
    ///
    /// `token` is what it was given, where it has it still.
    fn ended(self, row: &Arc<Row>, ended: Ended<T, E>, token: Option<CancellationToken>);
    /// As [`ended`](Self::ended), where the run failed: with what its error says, if [`Self::LOGS`] and if that is
    /// known.
    fn failed(
        self,
        row: &Arc<Row>,
        ended: Ended<T, E>,
        token: Option<CancellationToken>,
        _text: Option<Box<str>>,
    ) where
        Self: Sized,
    {
        self.ended(row, ended, token);
    }
    /// Whether it may log errors whose type it knows nothing of.
    const LOGS: bool = false;
    /// The task was aborted. What an error of the run would be made with is `error`.
    fn aborted(self, row: &Arc<Row>, error: fn(TaskError) -> E);
    /// A poll of the task panicked outside of all boundaries: no error could be made of how its run ended.
    fn unwound(self, row: &Arc<Row>, caught: Caught, error: fn(TaskError) -> E)
    where
        Self: Sized,
    {
        drop_quietly(caught);
        self.aborted(row, error);
    }
    /// Wakes the task when the token of its scope fires.
    fn alarm(&self) -> Option<&Alarm>;
}

/// Why a task was dropped before its run ended. Its scope fires the token before it aborts; otherwise it was dropped
/// together with its runtime.
pub(super) fn cause_of_abort(scope: &Scope, token: &CancellationToken) -> Cause {
    if token.is_cancelled() { scope.cause().unwrap_or(Cause::Token) } else { Cause::RuntimeGone }
}

pin_project! {
    /// The future that tokio is given.
    #[project = TaskProjection]
    pub struct Task<S, R>
    where
        S: SupervisedFuture,
        R: Report<S::Value, S::Error>,
    {
        seat: Seat,
        #[pin]
        run: Option<S>,
        report: Option<R>,
    }

    impl<S, R> PinnedDrop for Task<S, R>
    where
        S: SupervisedFuture,
        R: Report<S::Value, S::Error>,
    {
        fn drop(this: Pin<&mut Self>) {
            let (seat, mut seated) = this.parts();
            seat.abort(&mut seated);
        }
    }
}

impl<S: SupervisedFuture, R: Report<S::Value, S::Error>> Task<S, R> {
    /// Takes the run out of its place.
    #[inline]
    pub(super) fn new(row: Arc<Row>, span: TaskSpan, run: &mut Option<S>, report: R) -> Self {
        Self { seat: Seat::new(row, span), run: run.take(), report: Some(report) }
    }

    #[inline]
    fn parts(self: Pin<&mut Self>) -> (&mut Seat, InPlace<'_, S, R>) {
        let TaskProjection { seat, run, report } = self.project();
        (seat, InPlace { run, report, ended: None, text: Cell::new(None) })
    }
}

impl<S: SupervisedFuture, R: Report<S::Value, S::Error>> Future for Task<S, R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (seat, mut seated) = self.parts();
        seat.poll(&mut seated, cx)
    }
}

/// A run and who is told of its end, as those see it who do not know their types.
trait Seated {
    /// Whether its end is to be told yet.
    fn is_there(&self) -> bool;
    fn alarm(&self) -> Option<&Alarm>;
    /// Whether the run has ended.
    fn poll(&mut self, cx: &mut Context<'_>, now: Ticks) -> bool;
    /// Drops the run.
    fn drop_run(&mut self);
    /// Drops the run that has ended, and tells its end.
    fn tell_ended(&mut self, row: &Arc<Row>);
    fn tell_aborted(&mut self, row: &Arc<Row>);
    fn tell_unwound(&mut self, row: &Arc<Row>, caught: Caught);
}

/// It borrows the places of a task for one poll, or for its drop.
struct InPlace<'a, S: SupervisedFuture, R> {
    run: Pin<&'a mut Option<S>>,
    report: &'a mut Option<R>,
    ended: Option<Ended<S::Value, S::Error>>,
    /// What the error says.
    text: Cell<Option<Box<str>>>,
}

impl<S: SupervisedFuture, R: Report<S::Value, S::Error>> Seated for InPlace<'_, S, R> {
    fn is_there(&self) -> bool {
        self.report.is_some()
    }

    fn alarm(&self) -> Option<&Alarm> {
        self.report.as_ref().and_then(Report::alarm)
    }

    fn poll(&mut self, cx: &mut Context<'_>, now: Ticks) -> bool {
        let alarm = self.report.as_ref().and_then(Report::alarm);
        let run = self.run.as_mut().as_pin_mut().expect("a task is polled until it has ended");
        let text = R::LOGS.then_some(&self.text);
        let Poll::Ready(ended) = run.poll_ended(cx, Around { alarm, now: Some(now), text }) else {
            return false;
        };
        self.ended = Some(ended);
        true
    }

    fn drop_run(&mut self) {
        self.run.set(None);
    }

    fn tell_ended(&mut self, row: &Arc<Row>) {
        let token = self.run.as_mut().as_pin_mut().and_then(S::take_back_token);
        self.run.set(None);
        if let (Some(report), Some(ended)) = (self.report.take(), self.ended.take()) {
            match ended.result {
                Ok(_) => report.ended(row, ended, token),
                Err(_) => report.failed(row, ended, token, self.text.take()),
            }
        }
    }

    fn tell_aborted(&mut self, row: &Arc<Row>) {
        if let Some(report) = self.report.take() {
            report.aborted(row, S::error);
        }
    }

    fn tell_unwound(&mut self, row: &Arc<Row>, caught: Caught) {
        if let Some(report) = self.report.take() {
            report.unwound(row, caught, S::error);
        }
    }
}

/// All of a task but its run and who is told: the same code for all functions.
struct Seat {
    row: Option<Arc<Row>>,
    // Boxed where a subscriber wants it: without one, tasks are the smaller.
    span: Option<Box<TaskSpan>>,
    kept_waker: bool,
}

/// It is there but while the task is polled: then whoever asks who runs now has it.
fn row_of(row: &Option<Arc<Row>>) -> &Arc<Row> {
    row.as_ref().expect("a task has its row back when its poll has ended")
}

/// Drops the run whose poll panicked.
#[cold]
fn unwound(row: &mut Option<Arc<Row>>, seated: &mut dyn Seated, caught: Caught) {
    frame::within(row, || seated.drop_run());
    let row = row_of(row);
    row.forget_waker();
    seated.tell_unwound(row, caught);
}

impl Seat {
    #[inline]
    fn new(row: Arc<Row>, span: TaskSpan) -> Self {
        let span = if span.is_disabled() { None } else { Some(Box::new(span)) };
        Self { row: Some(row), span, kept_waker: false }
    }

    fn poll(&mut self, seated: &mut dyn Seated, cx: &mut Context<'_>) -> Poll<()> {
        let row = row_of(&self.row);
        if row.is_aborted() {
            self.abort(seated);
            return Poll::Ready(());
        }
        let _inside = self.span.as_ref().map(|span| span.enter());
        let (now, first) = row.poll_begins();
        if first {
            self.span.iter().for_each(|span| events::task_began(span));
        }
        let polled = frame::within(&mut self.row, || panic::catch_escaped(|| seated.poll(cx, now)));
        row_of(&self.row).poll_ends();
        let has_ended = match polled {
            Ok(has_ended) => has_ended,
            Err(caught) => {
                unwound(&mut self.row, seated, caught);
                return Poll::Ready(());
            }
        };
        let row = row_of(&self.row);
        if has_ended {
            row.ends();
            if self.kept_waker {
                row.forget_waker();
            }
            seated.tell_ended(row);
            return Poll::Ready(());
        }
        if !std::mem::replace(&mut self.kept_waker, true) {
            row.keep_waker(cx.waker());
            if row.is_aborted() || seated.alarm().is_some_and(Alarm::has_rung) {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }

    /// Ends the task before its run has ended.
    fn abort(&mut self, seated: &mut dyn Seated) {
        if !seated.is_there() {
            return;
        }
        let _inside = self.span.as_ref().map(|span| span.enter());
        frame::within(&mut self.row, || seated.drop_run());
        let row = row_of(&self.row);
        row.forget_waker();
        seated.tell_aborted(row);
    }
}
