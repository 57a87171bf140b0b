//! A runner of a map: a tokio task that drives one run after another.
//!
//! Each runner has a child token of its own, lent to all its runs by handle: no other thread fights for
//! its lock. A runner that finds more items than runners starts one more.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::{
    keep::Keep,
    pull::{Bound, Driven, Pulled, Shared},
};
use crate::{
    Cancelled, Cause, TaskError, events, panic,
    registry::Key,
    run::{
        Ended, SupervisedFuture, frame,
        row::{OnThread, Row},
    },
    spec::TaskSpec,
};

pin_project! {
    #[project = RunnerProjection]
    struct Runner<I, F, S, K>
    where
        I: Iterator,
        S: SupervisedFuture,
        K: Keep<S>,
    {
        shared: Arc<Shared<I, F, S, K>>,
        token: CancellationToken,
        row: Option<Arc<Row>>,
        span: Span,
        index: usize,
        #[pin]
        run: Option<S>,
        // There until it has left.
        key: Option<Key>,
    }

    impl<I, F, S, K> PinnedDrop for Runner<I, F, S, K>
    where
        I: Iterator,
        S: SupervisedFuture,
        K: Keep<S>,
    {
        fn drop(this: Pin<&mut Self>) {
            this.project().abort();
        }
    }
}

/// Starts the first runner, with the first run, which tells the function's own limit.
pub(super) fn start<I, F, S, K>(shared: &Arc<Shared<I, F, S, K>>, limit: Option<usize>)
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: Keep<S> + 'static,
{
    let token = shared.token.child_token();
    let Some(first) = shared.pull(&token, None) else {
        shared.leave(None);
        return;
    };
    let spec = first.run.spec();
    let own = spec.limit().map(Bound::Own);
    let limit = limit.map(Bound::Fixed).or(own);
    let limit = limit.unwrap_or_else(|| Bound::Fixed(default_limit()));
    let grow = shared.set_limit(limit, first.more);
    spawn(shared.clone(), token, spec, Some(first));
    if grow {
        spawn(shared.clone(), shared.token.child_token(), spec, None);
    }
}

/// Four times as many as threads run at once: runs wait as a rule.
fn default_limit() -> usize {
    4 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn spawn<I, F, S, K>(
    shared: Arc<Shared<I, F, S, K>>,
    token: CancellationToken,
    spec: &'static TaskSpec,
    first: Option<Pulled<S>>,
) where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: Keep<S> + 'static,
{
    let (index, run) = match first {
        Some(first) => (first.index, Some(first.run)),
        None => (0, None),
    };
    let row = Arc::new(Row::new(spec, shared.place, shared.scope.clone(), OnThread::Worker));
    let runner = Runner {
        key: Some(shared.enter(&row)),
        shared: shared.clone(),
        token,
        row: Some(row.clone()),
        span: events::task_span(&shared.span, spec.name()),
        index,
        run,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "a runner of `map`, which aborts it when it is dropped"
    )]
    let spawned = tokio::spawn(runner);
    shared.entered(&row, spawned.abort_handle());
}

impl<I, F, S, K> Future for Runner<I, F, S, K>
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: Keep<S> + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        // Out of its place meanwhile, since it is entered while the rest is used.
        let span = std::mem::replace(this.span, Span::none());
        let row = this.row.as_ref().expect("a runner has its row back when its poll has ended");
        let spec = row.spec();
        if row.poll_begins() {
            events::task_began(&span);
        }
        let polled = span.in_scope(|| this.drive(spec, cx));
        if let Some(row) = this.row {
            row.poll_ends();
        }
        *this.span = span;
        polled
    }
}

impl<I, F, S, K> RunnerProjection<'_, I, F, S, K>
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: Keep<S> + 'static,
{
    /// One run after another, until one is pending or there is nothing more to do.
    fn drive(&mut self, spec: &'static TaskSpec, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let done = match self.run.as_mut().as_pin_mut() {
                None => None,
                Some(run) => {
                    let task = run.spec().name();
                    let ended = ready!(frame::within(self.row, || run.poll_ended(cx)));
                    self.run.set(None);
                    Some(Driven { task, index: *self.index, ended })
                }
            };
            let Some(pulled) = self.shared.pull(self.token, done) else {
                self.shared.leave(self.key.take());
                return Poll::Ready(());
            };
            *self.index = pulled.index;
            self.run.set(Some(pulled.run));
            if let Some(row) = self.row {
                row.begins_anew();
            }
            if pulled.grow {
                spawn(self.shared.clone(), self.shared.token.child_token(), spec, None);
            }
        }
    }
}

impl<I: Iterator, F, S: SupervisedFuture, K: Keep<S>> RunnerProjection<'_, I, F, S, K> {
    /// The task is dropped before its end: the map, or the runtime, is going away.
    fn abort(&mut self) {
        if self.key.is_none() {
            return;
        }
        let _inside = self.span.enter();
        if let Some(run) = self.run.as_mut().as_pin_mut() {
            let task = run.spec().name();
            frame::within(self.row, || self.run.set(None));
            let cause = self.shared.scope.cause().unwrap_or(Cause::ScopeDropped);
            let cancelled = TaskError::Cancelled(Cancelled::new(task, cause));
            match panic::catch(|| S::error(cancelled)) {
                Ok(error) => {
                    let ended = Ended::aborted(error);
                    self.shared.store(Driven { task, index: *self.index, ended });
                }
                Err(caught) => self.shared.store_untold(task, caught),
            }
        }
        self.shared.leave(self.key.take());
    }
}
