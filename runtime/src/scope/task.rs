//! One spawn: a run in a tokio task, which tells its scope how it ended.
//!
//! Invariants
//!
//! 1. The run is dropped before its end is reported: who is told that a task has ended finds nothing of it.
//! 2. The end is reported once, also when the task is aborted or its runtime shuts down.
//! 3. All that the run and its end tell is told inside the task's span.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tracing::Span;

use crate::{
    events,
    run::{Around, Ended, SupervisedFuture, frame, row::Row},
};

/// Where a task's end is told.
pub(super) trait Report<S: SupervisedFuture> {
    /// The run has ended by itself.
    fn ended(self, row: &Arc<Row>, ended: Ended<S::Value, S::Error>);
    /// The task was aborted.
    fn aborted(self, row: &Arc<Row>);
}

pin_project! {
    /// The future that tokio is given.
    pub struct Task<S, R>
    where
        S: SupervisedFuture,
        R: Report<S>,
    {
        row: Option<Arc<Row>>,
        span: Span,
        #[pin]
        run: Option<S>,
        report: Option<R>,
    }

    impl<S, R> PinnedDrop for Task<S, R>
    where
        S: SupervisedFuture,
        R: Report<S>,
    {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(report) = this.report.take() {
                let _inside = this.span.enter();
                frame::within(this.row, || this.run.set(None));
                report.aborted(row_of(this.row));
            }
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
        Self { row: Some(row), span, run: run.take(), report: Some(report) }
    }
}

impl<S: SupervisedFuture, R: Report<S>> Future for Task<S, R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let _inside = this.span.enter();
        if row_of(this.row).poll_begins() {
            events::task_began(this.span);
        }
        let polled = frame::within(this.row, || {
            let run = this.run.as_mut().as_pin_mut();
            run.expect("a task is polled until it has ended").poll_ended(cx, Around::default())
        });
        let row = row_of(this.row);
        row.poll_ends();
        let Poll::Ready(ended) = polled else { return Poll::Pending };
        this.run.set(None);
        let report = this.report.take().expect("a task ends once");
        report.ended(row, ended);
        Poll::Ready(())
    }
}
