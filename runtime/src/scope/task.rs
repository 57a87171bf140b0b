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
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::{
    events,
    run::{Around, Ended, SupervisedFuture, alarm::Alarm, frame, row::Row},
};

/// Where a task's end is told.
pub(super) trait Report<S: SupervisedFuture> {
    /// The run has ended by itself.
    ///
    /// `token` is what it was given, where it has it still.
    fn ended(
        self,
        row: &Arc<Row>,
        ended: Ended<S::Value, S::Error>,
        token: Option<CancellationToken>,
    );
    /// The task was aborted.
    fn aborted(self, row: &Arc<Row>);
    /// Wakes the task when the token of its scope fires.
    fn alarm(&self) -> Option<&Alarm>;
}

pin_project! {
    /// The future that tokio is given.
    #[project = TaskProjection]
    pub struct Task<S, R>
    where
        S: SupervisedFuture,
        R: Report<S>,
    {
        row: Option<Arc<Row>>,
        // Boxed where a subscriber wants it: without one, tasks are the smaller.
        span: Option<Box<Span>>,
        #[pin]
        run: Option<S>,
        report: Option<R>,
        kept_waker: bool,
    }

    impl<S, R> PinnedDrop for Task<S, R>
    where
        S: SupervisedFuture,
        R: Report<S>,
    {
        fn drop(this: Pin<&mut Self>) {
            this.project().abort();
        }
    }
}

/// It is there but while the task is polled: then whoever asks who runs now has it.
fn row_of(row: &Option<Arc<Row>>) -> &Arc<Row> {
    row.as_ref().expect("a task has its row back when its poll has ended")
}

impl<S: SupervisedFuture, R: Report<S>> Task<S, R> {
    /// Takes the run out of its place.
    #[inline]
    pub(super) fn new(row: Arc<Row>, span: Span, run: &mut Option<S>, report: R) -> Self {
        let span = if span.is_disabled() { None } else { Some(Box::new(span)) };
        Self { row: Some(row), span, run: run.take(), report: Some(report), kept_waker: false }
    }
}

impl<S: SupervisedFuture, R: Report<S>> Future for Task<S, R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let row = row_of(this.row);
        if row.is_aborted() {
            this.abort();
            return Poll::Ready(());
        }
        let _inside = this.span.as_ref().map(|span| span.enter());
        let (now, first) = row.poll_begins();
        if first {
            this.span.iter().for_each(|span| events::task_began(span));
        }
        let report = this.report.as_ref().expect("a task is polled until it has ended");
        let around = Around { alarm: report.alarm(), now: Some(now) };
        let polled = frame::within(this.row, || {
            let run = this.run.as_mut().as_pin_mut();
            run.expect("a task is polled until it has ended").poll_ended(cx, around)
        });
        let row = row_of(this.row);
        row.poll_ends();
        let Poll::Ready(ended) = polled else {
            if !std::mem::replace(this.kept_waker, true) {
                row.keep_waker(cx.waker());
                if row.is_aborted() || around.alarm.is_some_and(Alarm::has_rung) {
                    cx.waker().wake_by_ref();
                }
            }
            return Poll::Pending;
        };
        let token = this.run.as_mut().as_pin_mut().and_then(S::take_back_token);
        this.run.set(None);
        if *this.kept_waker {
            row.forget_waker();
        }
        let report = this.report.take().expect("a task ends once");
        report.ended(row, ended, token);
        Poll::Ready(())
    }
}

impl<S: SupervisedFuture, R: Report<S>> TaskProjection<'_, S, R> {
    /// Ends the task before its run has ended.
    fn abort(&mut self) {
        if let Some(report) = self.report.take() {
            let _inside = self.span.as_ref().map(|span| span.enter());
            frame::within(self.row, || self.run.set(None));
            let row = row_of(self.row);
            row.forget_waker();
            report.aborted(row);
        }
    }
}
