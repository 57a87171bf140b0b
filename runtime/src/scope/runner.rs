//! A runner of a map: a tokio task that drives one run after another.
//!
//! Each runner has a child token of its own, lent to all its runs by handle: no other thread fights for
//! its lock. What a run was given comes back when it has ended, for the next one.
//!
//! A map begins with one runner, and gets another one wherever that would help:
//!
//! 1. a run becomes pending: something else can be done meanwhile;
//! 2. runs take long, in sum and each: other threads can take a share;
//! 3. no run has ended since the map's own future looked, and all are being polled: they compute.
//!
//! Runs that are ready at once stay on one thread, where nobody fights for the map's lock.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::task::coop::has_budget_remaining;
use tokio_util::sync::CancellationToken;

use super::{
    busy::Busy,
    keep::Keep,
    ordered::Index,
    pull::{Bound, Driven, Shared},
};
use crate::{
    Cancelled, Cause, Outcome, TaskError,
    clock::Ticks,
    events, panic,
    registry::Key,
    run::{
        Around, Ended, SupervisedFuture,
        alarm::Alarm,
        frame,
        row::{OnThread, Row},
    },
    span::TaskSpan,
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
        // A handle on it that a run has given back.
        spare: Option<CancellationToken>,
        row: Arc<Row>,
        // Lent to who asks which task runs, while it does.
        lent: Option<Arc<Row>>,
        alarm: Alarm,
        kept_waker: bool,
        span: TaskSpan,
        // Of the run under way, if there is one.
        index: Option<Index>,
        #[pin]
        run: Option<S>,
        // Whether it has been pending.
        pended: bool,
        busy: Busy,
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
    let mut first = None;
    let index = shared.pull(|| token.clone(), None, |run| first = Some(run));
    let (Some(index), Some(run)) = (index, first) else {
        shared.leave(None);
        return;
    };
    let spec = run.spec();
    let own = spec.limit().map(Bound::Own);
    let limit = limit.map(Bound::Fixed).or(own);
    shared.begin(spec, limit.unwrap_or_else(|| Bound::Fixed(default_limit())));
    spawn(shared, token, spec, Some((index, run)));
}

/// Four times as many as threads run at once: runs wait as a rule.
fn default_limit() -> usize {
    4 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Starts one more runner, if there is work for it.
pub(super) fn grow<I, F, S, K>(shared: &Arc<Shared<I, F, S, K>>) -> bool
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: Keep<S> + 'static,
{
    let Some(spec) = shared.grow() else { return false };
    spawn(shared, shared.token.child_token(), spec, None);
    true
}

fn alarm(token: &CancellationToken, row: &Arc<Row>) -> Alarm {
    let wakes: Weak<Row> = Arc::downgrade(row);
    Alarm::new(token, row.scope(), wakes)
}

fn spawn<I, F, S, K>(
    shared: &Arc<Shared<I, F, S, K>>,
    token: CancellationToken,
    spec: &'static TaskSpec,
    first: Option<(Index, S)>,
) where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: Keep<S> + 'static,
{
    let (index, run) = first.unzip();
    let row = Arc::new(Row::new(spec, shared.place, shared.scope.clone(), OnThread::Worker));
    let runner = Runner {
        key: Some(shared.enter(&row)),
        shared: shared.clone(),
        alarm: alarm(&token, &row),
        token,
        spare: None,
        lent: Some(row.clone()),
        row: row.clone(),
        kept_waker: false,
        span: events::task_span(&shared.span, shared.scope.cuts_spans(), spec.name()),
        index,
        run,
        pended: false,
        busy: Busy::default(),
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "a runner of `map`, which aborts it when it is dropped"
    )]
    let spawned = tokio::spawn(runner);
    row.spawned(spawned.id());
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
        if this.row.is_aborted() {
            this.abort();
            return Poll::Ready(());
        }
        // Out of their places meanwhile, since they are entered while the rest is used.
        let span = std::mem::replace(this.span, TaskSpan::none());
        let mut lent = this.lent.take();
        let (now, first) = this.row.poll_begins();
        if first {
            events::task_began(&span);
            this.shared.wake();
        }
        let inside = span.enter();
        let polled = frame::within(&mut lent, || this.drive(now, cx));
        drop(inside);
        this.row.poll_ends();
        *this.lent = lent;
        *this.span = span;
        if polled.is_ready() {
            this.row.forget_waker();
        } else if !std::mem::replace(this.kept_waker, true) {
            this.row.keep_waker(cx.waker());
            if this.row.is_aborted() || this.token.is_cancelled() {
                cx.waker().wake_by_ref();
            }
        }
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
    fn drive(&mut self, now: Ticks, cx: &mut Context<'_>) -> Poll<()> {
        let mut now = Some(now);
        loop {
            // The index stays until the run has ended: a poll may unwind.
            let done = match (self.run.as_mut().as_pin_mut(), *self.index) {
                (Some(mut run), Some(index)) => {
                    let around = Around { alarm: Some(self.alarm), now: now.take() };
                    let Poll::Ready(ended) = run.as_mut().poll_ended(cx, around) else {
                        // Without budget everything is pending, and nothing is known.
                        if has_budget_remaining() && !std::mem::replace(self.pended, true) {
                            grow(self.shared);
                        }
                        return Poll::Pending;
                    };
                    *self.index = None;
                    let task = run.spec().name();
                    // What is another token's handle, or that of a part of it, is dropped.
                    let given = run.take_back_token();
                    *self.spare = given.filter(|given| given == self.token);
                    self.run.set(None);
                    // The token itself is asked, as far as it costs little: it has fired before the alarm rings.
                    if self.alarm.has_rung()
                        || ended.outcome == Outcome::Cancelled
                        || (*self.pended && self.token.is_cancelled())
                    {
                        self.renew_token();
                    }
                    if !*self.pended {
                        for _ in 0..self.busy.with(ended.nanos) {
                            if !grow(self.shared) {
                                break;
                            }
                        }
                    }
                    Some(Driven { task, index, ended })
                }
                _ => None,
            };
            let (token, spare, run) = (&*self.token, &mut *self.spare, &mut self.run);
            let given = || spare.take().unwrap_or_else(|| token.clone());
            let pulled = self.shared.pull(given, done, |next| run.set(Some(next)));
            if pulled.is_none() {
                self.shared.leave(self.key.take());
                return Poll::Ready(());
            }
            *self.index = pulled;
            *self.pended = false;
            // An item was read since.
            now = None;
            self.row.begins_anew();
        }
    }
}

impl<I: Iterator, F, S: SupervisedFuture, K: Keep<S>> RunnerProjection<'_, I, F, S, K> {
    /// A run may fire the token that it was given, which is no other run's business.
    #[cold]
    fn renew_token(&mut self) {
        if self.token.is_cancelled() && !self.shared.token.is_cancelled() {
            *self.token = self.shared.token.child_token();
            *self.alarm = alarm(self.token, self.row);
            *self.spare = None;
        }
    }

    /// The task is dropped before its end: the map, or the runtime, is going away.
    fn abort(&mut self) {
        if self.key.is_none() {
            return;
        }
        self.row.forget_waker();
        let _inside = self.span.enter();
        if let (Some(run), Some(index)) = (self.run.as_mut().as_pin_mut(), self.index.take()) {
            let task = run.spec().name();
            frame::within(self.lent, || self.run.set(None));
            let cause = self.shared.scope.cause().unwrap_or(Cause::ScopeDropped);
            let cancelled = TaskError::Cancelled(Cancelled::new(task, cause));
            match panic::catch(|| S::error(cancelled)) {
                Ok(error) => {
                    let ended = Ended::aborted(error);
                    self.shared.store(Driven { task, index, ended });
                }
                Err(caught) => self.shared.store_untold(task, caught),
            }
        }
        self.shared.leave(self.key.take());
    }
}
