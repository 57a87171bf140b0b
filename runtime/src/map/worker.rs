//! A worker of a map: a tokio task that drives one run after another.
//!
//! Each worker has a child token of its own, lent to all its runs by handle: no other thread fights for
//! its lock. What a run was given comes back when it has ended, for the next one.
//!
//! A map begins with one worker, which reads the first item: the iterator may block. It gets another one whenever that
//! would help:
//!
//! 1. a run becomes pending: something else can be done meanwhile;
//! 2. runs take long, in sum and each: other threads can take a share;
//! 3. no item was read for a while, and no worker is without a run: they compute (`map.rs`, `watch.rs`);
//! 4. the function's limit was raised.
//!
//! Runs that are ready at once stay on one thread, where no one fights for the map's lock.
//!
//! A worker that finds the source with another one waits for it, without a run and without blocking its thread.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use tokio::task::coop::{has_budget_remaining, poll_proceed};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Ticks,
    context,
    context::cancel_waker::CancelWaker,
    context::tree::{OnThread, TaskRecord},
    error::{Cancelled, TaskError},
    function::{Policy, TaskSpec},
    registry::slab::Key,
    run::PollContext,
    run::future::{SupervisedFuture, TaskCompletion},
    telemetry::events,
    telemetry::span::TaskSpan,
    {panic, sync},
};
use crate::{
    map::collect_mode::CollectMode,
    map::growth::GrowthPolicy,
    map::state,
    map::state::{FinishedItem, MapState, NextRun, WorkerLimit},
    tasks::cell::cause_of_abort,
    tasks::reorder_buffer::Index,
};

sync::global! {
    /// What a worker is until it knows the function, which the first run tells.
    static UNKNOWN: TaskSpec = TaskSpec::new(state::UNKNOWN, Policy::DEFAULT);
}

struct Worker<I, F, S, K>
where
    I: Iterator,
    S: SupervisedFuture,
    K: CollectMode<S>,
{
    shared: Arc<MapState<I, F, S, K>>,
    token: CancellationToken,
    /// A handle on it that a run has given back.
    spare_token: Option<CancellationToken>,
    record: Arc<TaskRecord>,
    /// Lent to whoever asks which task runs, while it does.
    current: Option<Arc<TaskRecord>>,
    cancel_waker: CancelWaker,
    has_waker: bool,
    span: TaskSpan,
    /// The limit that the map was given, until the first run has told its function.
    first: Option<Option<usize>>,
    /// Of the run under way, if there is one.
    index: Option<Index>,
    /// Boxed, so that a large one is made in its place and never moved.
    run: Pin<Box<Option<S>>>,
    /// Whether it has been pending, and another worker was asked for since.
    pended: bool,
    /// Whether it has no item yet, and is not the first worker.
    is_new: bool,
    /// Whether it may be in the queue for the source.
    queued: bool,
    /// Whether it has woken or spawned a task since its poll began.
    woke: bool,
    growth: GrowthPolicy,
    /// There until it has left.
    key: Option<Key>,
}

/// Nothing is pinned here but the run, in its box.
impl<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>> Unpin for Worker<I, F, S, K> {}

impl<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>> Drop for Worker<I, F, S, K> {
    fn drop(&mut self) {
        self.abort();
    }
}

/// Starts the first worker. Its first run tells the function's own limit.
pub(crate) fn start<I, F, S, K>(shared: &Arc<MapState<I, F, S, K>>, limit: Option<usize>)
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: CollectMode<S> + 'static,
{
    spawn(shared, &UNKNOWN, Some(limit));
}

/// Four times as many as threads run at once: runs wait as a rule.
fn default_limit() -> usize {
    4 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Starts one more worker, if there is work for it and fewer than `idle` are without a run.
#[inline]
fn grow<I, F, S, K>(shared: &Arc<MapState<I, F, S, K>>, idle: usize) -> bool
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: CollectMode<S> + 'static,
{
    let spec = shared.grow(idle);
    spec.into_iter().for_each(|spec| spawn(shared, spec, None));
    spec.is_some()
}

/// The same for the map's own future.
pub(crate) fn grow_exactly<I, F, S, K>(shared: &Arc<MapState<I, F, S, K>>)
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: CollectMode<S> + 'static,
{
    let spec = shared.grow_exactly(1);
    spec.into_iter().for_each(|spec| spawn(shared, spec, None));
}

fn cancel_waker(token: &CancellationToken, record: &Arc<TaskRecord>) -> CancelWaker {
    let wakes: Weak<TaskRecord> = Arc::downgrade(record);
    CancelWaker::new(token, record.scope(), wakes)
}

fn spawn<I, F, S, K>(
    shared: &Arc<MapState<I, F, S, K>>,
    spec: &'static TaskSpec,
    first: Option<Option<usize>>,
) where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: CollectMode<S> + 'static,
{
    let token = shared.token.child_token();
    let record =
        Arc::new(TaskRecord::new(spec, shared.place, shared.scope.clone(), OnThread::Worker));
    let span = match first {
        Some(_) => TaskSpan::none(),
        None => events::task_span(&shared.span, shared.scope.cuts_spans(), spec.name()),
    };
    let worker = Worker {
        key: Some(shared.register(&record)),
        shared: shared.clone(),
        cancel_waker: cancel_waker(&token, &record),
        token,
        spare_token: None,
        current: Some(record.clone()),
        record: record.clone(),
        has_waker: false,
        span,
        first,
        index: None,
        run: Box::pin(None),
        pended: false,
        is_new: first.is_none(),
        queued: false,
        woke: false,
        growth: GrowthPolicy::default(),
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "a runner of `map`, which aborts it when it is dropped"
    )]
    let spawned = tokio::spawn(worker);
    record.set_id(spawned.id());
}

impl<I, F, S, K> Future for Worker<I, F, S, K>
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: CollectMode<S> + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.record.is_aborted() {
            this.abort();
            return Poll::Ready(());
        }
        this.woke = false;
        let mut polled = Poll::Ready(());
        if this.first.is_some() {
            polled = this.poll_first(cx);
        }
        if polled.is_ready() && this.key.is_some() {
            polled = this.poll_runs(cx);
        }
        if polled.is_ready() {
            this.record.clear_waker();
        } else if !std::mem::replace(&mut this.has_waker, true) {
            this.record.set_waker(cx.waker());
            if this.record.is_aborted() || this.token.is_cancelled() {
                cx.waker().wake_by_ref();
            }
        }
        polled
    }
}

impl<I, F, S, K> Worker<I, F, S, K>
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: CollectMode<S> + 'static,
{
    /// Makes the first run of the map, and becomes a task of its function. If there is none, the worker has left.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut current = self.current.take();
        self.record.enter_poll();
        let shared = self.shared.clone();
        let inside = shared.span.enter();
        let polled = context::in_task(&mut current, || self.poll_next(&mut None, cx));
        drop(inside);
        self.record.exit_poll();
        self.current = current;
        if ready!(polled) {
            self.set_function();
        } else {
            self.finish();
        }
        Poll::Ready(())
    }

    fn set_function(&mut self) {
        let (Some(run), Some(limit)) = (self.run.as_ref().as_pin_ref(), self.first.take()) else {
            return;
        };
        let (shared, spec) = (&self.shared, run.spec());
        let record =
            Arc::new(TaskRecord::new(spec, shared.place, shared.scope.clone(), OnThread::Worker));
        tokio::task::try_id().into_iter().for_each(|id| record.set_id(id));
        if let Some(key) = self.key {
            shared.replace(key, &record);
        }
        self.record.clear_waker();
        self.has_waker = false;
        self.cancel_waker = cancel_waker(&self.token, &record);
        self.current = Some(record.clone());
        self.record = record;
        self.span = events::task_span(&shared.span, shared.scope.cuts_spans(), spec.name());
        let own = spec.limit().map(WorkerLimit::OfFunction);
        let limit = limit.map(WorkerLimit::Fixed).or(own);
        shared.set_function(spec, limit.unwrap_or_else(|| WorkerLimit::Fixed(default_limit())));
        shared.wake();
        self.woke = true;
    }

    fn poll_runs(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::take(&mut self.queued) {
            self.key.into_iter().for_each(|key| self.shared.dequeue(key));
        }
        // Out of their places meanwhile, since they are entered while the rest is used.
        let span = std::mem::replace(&mut self.span, TaskSpan::none());
        let mut current = self.current.take();
        let (now, first) = self.record.enter_poll();
        if first {
            events::task_started(&span);
            if self.is_new {
                self.shared.worker_started();
            }
        }
        let inside = span.enter();
        let polled = context::in_task(&mut current, || self.drive(now, cx));
        drop(inside);
        self.record.exit_poll();
        self.current = current;
        self.span = span;
        polled
    }

    /// One run after another, until one is pending or there is nothing more to do.
    fn drive(&mut self, now: Ticks, cx: &mut Context<'_>) -> Poll<()> {
        let mut now = Some(now);
        let text = Cell::new(None);
        loop {
            // The index stays until the run has ended: a poll may unwind.
            let mut done = match (self.run.as_mut().as_pin_mut(), self.index) {
                (Some(mut run), Some(index)) => {
                    let text = K::STOPS.then_some(&text);
                    let poll_context = PollContext {
                        cancel_waker: Some(&self.cancel_waker),
                        now: now.take(),
                        text,
                    };
                    let Poll::Ready(ended) = run.as_mut().poll_completion(cx, poll_context) else {
                        self.on_pending(cx);
                        return Poll::Pending;
                    };
                    self.index = None;
                    let task = run.spec().name();
                    // What is another token's handle, or that of a part of it, is dropped.
                    let given = run.take_back_token();
                    self.spare_token = given.filter(|given| *given == self.token);
                    self.run.set(None);
                    if !self.pended {
                        let wanted = self.growth.on_finish(ended.nanos);
                        for _ in 0..wanted {
                            if !grow(&self.shared, usize::try_from(wanted).unwrap_or(usize::MAX)) {
                                break;
                            }
                            self.woke = true;
                        }
                    }
                    if K::STOPS && ended.result.is_err() {
                        self.shared.store_failure(task, ended, text.and_then(Cell::take));
                        None
                    } else {
                        Some(FinishedItem { task, index, ended })
                    }
                }
                _ => None,
            };
            if !ready!(self.poll_next(&mut done, cx)) {
                self.finish();
                return Poll::Ready(());
            }
            // An item was read since.
            now = None;
            self.record.reset_clock();
        }
    }

    /// The run is pending: once, another worker is asked for.
    fn on_pending(&mut self, cx: &Context<'_>) {
        if self.pended {
            return;
        }
        if has_budget_remaining() {
            self.pended = true;
            grow(&self.shared, 1);
        } else {
            // Without budget everything is pending, and nothing is known: the next poll has some.
            cx.waker().wake_by_ref();
        }
    }

    /// Stores what was done, and makes the next run in its place; false if there is none.
    ///
    /// What was done is lent: it is as large as a result, and taken where it is stored.
    #[inline]
    fn poll_next(
        &mut self,
        done: &mut Option<FinishedItem<S>>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        loop {
            if !self.may_read() {
                self.stop_reading(done.take());
                return Poll::Ready(false);
            }
            if self.woke {
                return self.yield_to_others(done.take(), cx);
            }
            let (token, spare_token, run) = (&self.token, &mut self.spare_token, &mut self.run);
            let given = || spare_token.take().unwrap_or_else(|| token.clone());
            let next_run = self.shared.complete_and_next(
                done,
                given,
                |next| run.set(Some(next)),
                &mut self.woke,
            );
            if let NextRun::Made(index) = next_run {
                self.index = Some(index);
                self.pended = false;
                if std::mem::take(&mut self.is_new) {
                    self.shared.wake();
                    self.woke = true;
                }
                return Poll::Ready(true);
            }
            if let Some(next) = ready!(self.poll_uncommon(next_run, cx)) {
                return Poll::Ready(next);
            }
        }
    }

    /// Lets the tasks run that were woken, before the iterator may block: one of them, which may be the map's own, is
    /// in a slot of this thread that no other one takes it from (tokio's LIFO slot).
    #[cold]
    fn yield_to_others(&mut self, done: Option<FinishedItem<S>>, cx: &Context<'_>) -> Poll<bool> {
        done.into_iter().for_each(|done| self.shared.store(done));
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// There is no run yet: `None` to ask again.
    #[cold]
    fn poll_uncommon(&mut self, next_run: NextRun, cx: &mut Context<'_>) -> Poll<Option<bool>> {
        match next_run {
            NextRun::Made(_) | NextRun::Finished => Poll::Ready(Some(false)),
            NextRun::Unwanted => {
                _ = panic::catch(|| self.run.set(None));
                Poll::Ready(Some(false))
            }
            NextRun::SourceBorrowed => {
                let Some(key) = self.key else { return Poll::Ready(Some(false)) };
                self.queued =
                    !self.shared.spin_until_available() && self.shared.enqueue(key, cx.waker());
                if self.queued { Poll::Pending } else { Poll::Ready(None) }
            }
            NextRun::Panicked(index, caught) => {
                let Some(failed) = self.shared.item_panicked(index, caught) else {
                    return Poll::Ready(Some(false));
                };
                self.shared.store(failed);
                // A run spends a unit when it begins; what was never made spends one here.
                ready!(poll_proceed(cx)).made_progress();
                Poll::Ready(None)
            }
        }
    }

    /// Whether the map goes on. A run may have fired the token that it was given, which is no other run's business.
    #[inline]
    fn may_read(&mut self) -> bool {
        !self.token.is_cancelled() || self.renew_token()
    }

    #[cold]
    fn renew_token(&mut self) -> bool {
        if self.shared.token.is_cancelled() {
            return false;
        }
        self.token = self.shared.token.child_token();
        self.cancel_waker = cancel_waker(&self.token, &self.record);
        self.spare_token = None;
        true
    }

    #[cold]
    fn stop_reading(&self, done: Option<FinishedItem<S>>) {
        done.into_iter().for_each(|done| self.shared.store(done));
        self.shared.stop_reading();
    }
}

impl<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>> Worker<I, F, S, K> {
    fn finish(&mut self) {
        self.shared.finish(self.key.take());
    }

    /// The task is dropped before its end: the map, or the runtime, is going away.
    fn abort(&mut self) {
        if self.key.is_none() {
            return;
        }
        self.record.clear_waker();
        if std::mem::take(&mut self.queued) {
            self.key.into_iter().for_each(|key| self.shared.dequeue(key));
        }
        let _inside = self.span.enter();
        if let (Some(run), Some(index)) = (self.run.as_mut().as_pin_mut(), self.index.take()) {
            let spec = run.spec();
            context::in_task(&mut self.current, || self.run.set(None));
            let cause = cause_of_abort(&self.shared.scope, &self.shared.token);
            let cancelled = TaskError::Cancelled(Cancelled::new(spec, cause));
            match panic::catch(|| S::error(cancelled)) {
                Ok(error) => {
                    let ended = TaskCompletion::aborted(error);
                    self.shared.store(FinishedItem { task: spec.name(), index, ended });
                }
                Err(caught) => self.shared.store_unconvertible(spec.name(), caught),
            }
        }
        self.shared.finish(self.key.take());
    }
}
