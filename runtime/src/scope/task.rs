//! One spawn: a run in a tokio task, which tells its scope how it ended.
//!
//! Invariants
//!
//! 1. The run is dropped before its end is reported: who is told that a task has ended finds nothing of it.
//! 2. The end is reported once, also when the task is aborted or its runtime shuts down.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use crate::run::{Ended, SupervisedFuture, frame, scope::Scope};

/// Where a task's end is told.
pub(super) trait Report<S: SupervisedFuture> {
    /// The run has ended by itself.
    fn ended(self, task: &'static str, ended: Ended<S::Value, S::Error>);
    /// The task was aborted.
    fn aborted(self, task: &'static str);
    /// A poll begins or ends.
    fn polling(&self, _now: bool) {}
}

pin_project! {
    /// The future that tokio is given.
    pub struct Task<S, R>
    where
        S: SupervisedFuture,
        R: Report<S>,
    {
        name: &'static str,
        scope: Option<Arc<Scope>>,
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
                frame::within(this.scope, || this.run.set(None));
                report.aborted(this.name);
            }
        }
    }
}

impl<S: SupervisedFuture, R: Report<S>> Task<S, R> {
    pub(super) fn new(scope: Arc<Scope>, run: S, report: R) -> Self {
        Self { name: run.spec().name(), scope: Some(scope), run: Some(run), report: Some(report) }
    }
}

impl<S: SupervisedFuture, R: Report<S>> Future for Task<S, R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let polling =
            |report: &Option<R>, now| report.iter().for_each(|report| report.polling(now));
        polling(this.report, true);
        let ended = frame::within(this.scope, || {
            let run = this.run.as_mut().as_pin_mut();
            run.expect("a task is polled until it has ended").poll_ended(cx)
        });
        polling(this.report, false);
        let ended = ready!(ended);
        this.run.set(None);
        let report = this.report.take().expect("a task ends once");
        report.ended(this.name, ended);
        Poll::Ready(())
    }
}
