//! A worker of a map: a tokio task that drives one run after another.
//!
//! Each worker has its own child token and passes clones of it to its runs: no other thread contends for its lock. When
//! a run has ended, or has a child of its clone, the clone is reused for the next one.
//!
//! `growth.rs` decides when a map gets another worker.
//!
//! A worker that needs the source while another one has it waits, without a run and without blocking its thread.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use tokio::task::coop::poll_proceed;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Ticks,
    context::cancel_waker::CancelWaker,
    context::tree::{OnThread, TaskRecord},
    function::{Policy, TaskSpec},
    outcome::Outcome,
    panic,
    panic::{Caught, drop_quietly},
    registry::slab::Key,
    run::PollContext,
    run::future::{SupervisedFuture, TaskCompletion},
    run::output::ErrorNote,
    sync,
    telemetry::events,
    telemetry::span::TaskSpan,
    token::ReplacedToken,
};
use crate::{
    map::growth::{GrowthPolicy, WorkerLimit},
    map::item_source::{ItemSource, MapInput},
    map::results::{CollectMode, FinishedItem},
    map::state,
    map::state::{MapState, NextRun, Wakes},
    tasks::cell::{DynTask, TaskCell, error_of_abort, set_tuning},
    tasks::reorder_buffer::Index,
};

sync::global! {
    /// The description of a worker until the first run determines the function.
    static UNKNOWN: TaskSpec = TaskSpec::new(state::UNKNOWN, Policy::DEFAULT);
}

/// The future of a worker, as it is spawned on tokio.
pub(crate) struct Worker<I, F, S, K>
where
    I: MapInput + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
    K: CollectMode<S> + 'static,
{
    cell: TaskCell,
    runs: Runs<I, F, S, K>,
}

/// The runs of a worker, one after another.
struct Runs<I, F, S, K>
where
    I: MapInput,
    S: SupervisedFuture,
    K: CollectMode<S>,
{
    shared: Arc<MapState<I, F, S, K>>,
    token: CancellationToken,
    /// A clone of the token that a run has returned.
    spare_token: Option<CancellationToken>,
    record: Arc<TaskRecord>,
    cancel_waker: CancelWaker,
    /// The limit of the map, until the first run has determined the function.
    first: Option<Option<usize>>,
    /// The index of the current run, if there is one.
    index: Option<Index>,
    /// Boxed: a large run is made in place and never moved.
    run: Pin<Box<Option<S>>>,
    /// Whether this worker was not polled yet, and is not the first one.
    starting: bool,
    /// Whether this worker has no item yet, and is not the first one.
    is_new: bool,
    /// Whether its record shows that it has no run.
    is_idle: bool,
    /// Whether it may be in the queue for the source.
    queued: bool,
    /// The source, while its stream is pending.
    reading: Option<Box<ItemSource<I, F>>>,
    wakes: Wakes,
    growth: GrowthPolicy,
    /// `None` once the worker has left the map.
    key: Option<Key>,
}

impl<I, F, S, K> Drop for Worker<I, F, S, K>
where
    I: MapInput + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
    K: CollectMode<S> + 'static,
{
    fn drop(&mut self) {
        self.cell.abort(&mut self.runs);
    }
}

/// Four times as many as threads run at once: runs usually wait.
fn default_limit() -> usize {
    4 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn cancel_waker(token: &CancellationToken, record: &Arc<TaskRecord>) -> CancelWaker {
    let wakes: Weak<TaskRecord> = Arc::downgrade(record);
    CancelWaker::new(token, record.scope(), wakes)
}

impl<I, F, S, K> Future for Worker<I, F, S, K>
where
    I: MapInput + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
    K: CollectMode<S> + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { cell, runs } = self.get_mut();
        runs.wakes.woke = false;
        let polled = cell.poll(runs, cx);
        if runs.run.is_none() {
            return polled;
        }
        let Some(limit) = runs.first.take() else { return polled };
        // The first run of the map was made: from now on the worker is a task of its function.
        *cell = runs.set_function(limit);
        cell.poll(runs, cx)
    }
}

impl<I, F, S, K> Worker<I, F, S, K>
where
    I: MapInput + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
    K: CollectMode<S> + 'static,
{
    /// Starts the first worker. Its first run determines the function, and so the limit if `limit` is `None`.
    pub(crate) fn start(shared: &Arc<MapState<I, F, S, K>>, limit: Option<usize>) {
        Self::spawn(shared, &UNKNOWN, Some(limit));
    }

    /// Starts one more worker if there is work for it and fewer than `idle` workers are without a run.
    #[inline]
    fn grow(shared: &Arc<MapState<I, F, S, K>>, idle: usize) -> bool {
        let spec = shared.grow(idle);
        spec.into_iter().for_each(|spec| Self::spawn(shared, spec, None));
        spec.is_some()
    }

    /// Like [`grow`](Self::grow), for the map's future.
    pub(crate) fn grow_exactly(shared: &Arc<MapState<I, F, S, K>>) {
        let spec = shared.grow_exactly(1);
        spec.into_iter().for_each(|spec| Self::spawn(shared, spec, None));
    }

    fn spawn(
        shared: &Arc<MapState<I, F, S, K>>,
        spec: &'static TaskSpec,
        first: Option<Option<usize>>,
    ) {
        let token = shared.tasks.token.child_token();
        let record = Arc::new(TaskRecord::new(
            spec,
            shared.place,
            shared.tasks.scope.clone(),
            OnThread::Worker,
        ));
        let span = match first {
            Some(_) => TaskSpan::none(),
            None => {
                let cuts_spans = shared.tasks.scope.cuts_spans();
                events::task_span(&shared.span, cuts_spans, spec.name(), None)
            }
        };
        let runs = Runs {
            key: Some(shared.register(&record)),
            shared: shared.clone(),
            cancel_waker: cancel_waker(&token, &record),
            token,
            spare_token: None,
            record: record.clone(),
            index: None,
            run: Box::pin(None),
            starting: first.is_none(),
            is_new: first.is_none(),
            first,
            is_idle: false,
            queued: false,
            reading: None,
            wakes: Wakes::default(),
            growth: GrowthPolicy::default(),
        };
        let worker = Self { cell: TaskCell::new(record.clone(), span), runs };
        #[expect(
            clippy::disallowed_methods,
            reason = "a worker of `map`, which aborts it when it is dropped"
        )]
        let spawned = tokio::spawn(worker);
        record.set_id(spawned.id());
    }
}

impl<I, F, S, K> Runs<I, F, S, K>
where
    I: MapInput + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
    K: CollectMode<S> + 'static,
{
    /// Sets the function, which the first run determines. Returns the cell of the worker as a task of that function.
    fn set_function(&mut self, limit: Option<usize>) -> TaskCell {
        let Some(spec) = self.run.as_ref().as_pin_ref().map(|run| run.spec()) else {
            unreachable!("the first run was made")
        };
        let shared = &self.shared;
        let record = Arc::new(TaskRecord::new(
            spec,
            shared.place,
            shared.tasks.scope.clone(),
            OnThread::Worker,
        ));
        tokio::task::try_id().into_iter().for_each(|id| record.set_id(id));
        if let Some(key) = self.key {
            shared.replace(key, &record);
        }
        self.record.clear_waker();
        self.cancel_waker = cancel_waker(&self.token, &record);
        self.record = record.clone();
        let own = spec.limit_before_run().map(WorkerLimit::OfFunction);
        let limit = limit.map(WorkerLimit::Fixed).or(own);
        shared.set_function(spec, limit.unwrap_or_else(|| WorkerLimit::Fixed(default_limit())));
        shared.wake();
        self.wakes.woke = true;
        let cuts_spans = shared.tasks.scope.cuts_spans();
        let span = events::task_span(&shared.span, cuts_spans, spec.name(), None);
        self.set_tuning();
        TaskCell::new(record, span)
    }

    /// Stores the options of the new run in the task's record. A worker has one span for all of its runs, which has no label.
    #[inline]
    fn set_tuning(&self) {
        if let Some(run) = self.run.as_ref().as_pin_ref() {
            _ = set_tuning(&self.record, run.get_ref());
        }
    }

    /// Shows that the worker has no run: it waits for an item, or for the consumer of the results.
    #[cold]
    fn show_idle(&mut self) {
        self.is_idle = true;
        self.record.frames().clear();
        self.record.set_tuning(None);
        self.record.set_waiting(true);
    }

    /// Drives one run after another, until one is pending or there is nothing more to do.
    fn drive(&mut self, now: Ticks, cx: &mut Context<'_>) -> Poll<()> {
        let mut now = Some(now);
        let note = Cell::new(None);
        loop {
            // The index stays until the run has ended: a poll may unwind.
            let mut done = match (self.run.as_mut().as_pin_mut(), self.index) {
                (Some(mut run), Some(index)) => {
                    let note = K::STOPS.then_some(&note);
                    let poll_context = PollContext {
                        cancel_waker: Some(&self.cancel_waker),
                        now: now.take(),
                        note,
                        is_cancelled: false,
                    };
                    let Poll::Ready(ended) = run.as_mut().poll_completion(cx, poll_context) else {
                        if self.growth.on_pending(cx) {
                            Worker::grow(&self.shared, 1);
                        }
                        return Poll::Pending;
                    };
                    self.index = None;
                    let task = run.spec().name();
                    // Not if there is one: then the run has a child of it.
                    if self.spare_token.is_none() {
                        let given = run.take_back_token();
                        self.spare_token = given.filter(|given| *given == self.token);
                    }
                    self.run.set(None);
                    let wanted = self.growth.on_finish(ended.nanos);
                    for _ in 0..wanted {
                        if !Worker::grow(&self.shared, wanted) {
                            break;
                        }
                        self.wakes.woke = true;
                    }
                    if K::STOPS && ended.result.is_err() {
                        let text = note.and_then(Cell::take).and_then(ErrorNote::into_text);
                        let item = FinishedItem { task, index, ended };
                        _ = self.shared.store(item, Some(self.record.origin()), text);
                        None
                    } else {
                        Some(FinishedItem { task, index, ended })
                    }
                }
                _ => None,
            };
            match self.poll_next(&mut done, cx) {
                Poll::Pending => {
                    self.show_idle();
                    return Poll::Pending;
                }
                Poll::Ready(false) => {
                    self.finish();
                    return Poll::Ready(());
                }
                Poll::Ready(true) => {}
            }
            // An item was read since.
            now = None;
            if std::mem::take(&mut self.is_idle) {
                self.record.set_waiting(false);
            }
            self.record.reset_clock();
            self.set_tuning();
        }
    }

    /// Stores the finished item, and makes the next run; false if there is none.
    ///
    /// The finished item is lent: it is as large as a result, and moved only to where it is stored.
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
            if self.wakes.woke {
                return self.yield_to_others(done.take(), cx);
            }
            let (token, spare_token, run) = (&self.token, &mut self.spare_token, &mut self.run);
            let given = || spare_token.take().unwrap_or_else(|| token.clone());
            let next_run = self.shared.complete_and_next(
                done,
                &mut self.reading,
                cx,
                given,
                |next| run.set(Some(next)),
                &mut self.wakes,
            );
            if let NextRun::Made(index) = next_run {
                self.index = Some(index);
                let replaced = self.run.as_mut().as_pin_mut().and_then(S::own_token);
                if let Some(ReplacedToken { given, .. }) = replaced {
                    self.spare_token = Some(given).filter(|given| *given == self.token);
                }
                self.growth.on_start();
                self.wakes.woke |= self.shared.watch_again();
                if std::mem::take(&mut self.is_new) {
                    self.shared.wake();
                    self.wakes.woke = true;
                }
                return Poll::Ready(true);
            }
            if let Some(next) = ready!(self.poll_uncommon(next_run, cx)) {
                return Poll::Ready(next);
            }
        }
    }

    /// Yields to the tasks that were woken, before the iterator may block: one of them, which may be the map's own, is
    /// in tokio's LIFO slot of this thread, from which no other thread takes it.
    #[cold]
    fn yield_to_others(&mut self, done: Option<FinishedItem<S>>, cx: &Context<'_>) -> Poll<bool> {
        done.into_iter().for_each(|done| _ = self.shared.store(done, None, None));
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
            NextRun::SourcePending => Poll::Pending,
            NextRun::Yields => Poll::Ready(None),
            NextRun::SourceBorrowed if !I::MAY_PEND && self.shared.spin_until_available() => {
                Poll::Ready(None)
            }
            NextRun::SourceBorrowed | NextRun::Paused => {
                let Some(key) = self.key else { return Poll::Ready(Some(false)) };
                self.queued = self.shared.enqueue(key, cx.waker());
                if self.queued { Poll::Pending } else { Poll::Ready(None) }
            }
            NextRun::Panicked(index, caught) => {
                let Some(failed) = self.shared.item_panicked(index, caught) else {
                    return Poll::Ready(Some(false));
                };
                self.wakes.woke |= self.shared.store(failed, None, None);
                // A run spends a unit when it starts; an item whose run could not be made spends one here.
                ready!(poll_proceed(cx)).made_progress();
                Poll::Ready(None)
            }
        }
    }

    /// Whether the map continues. A run may have fired its own token, which affects no other run.
    #[inline]
    fn may_read(&mut self) -> bool {
        !self.token.is_cancelled() || self.renew_token()
    }

    #[cold]
    fn renew_token(&mut self) -> bool {
        if self.shared.tasks.token.is_cancelled() {
            return false;
        }
        self.token = self.shared.tasks.token.child_token();
        self.cancel_waker = cancel_waker(&self.token, &self.record);
        self.spare_token = None;
        true
    }

    fn dequeue(&mut self) {
        if std::mem::take(&mut self.queued) {
            self.key.into_iter().for_each(|key| self.shared.dequeue(key));
        }
    }

    /// Removes the worker from the map.
    fn finish(&mut self) {
        self.shared.finish(self.key.take());
    }

    #[cold]
    fn stop_reading(&mut self, done: Option<FinishedItem<S>>) {
        done.into_iter().for_each(|done| _ = self.shared.store(done, None, None));
        self.shared.stop_reading(self.reading.take());
    }

    /// Polls the first read of the map, or the runs. Returns whether the worker has ended.
    fn poll_task(&mut self, cx: &mut Context<'_>, now: Ticks) -> bool {
        self.dequeue();
        if self.first.is_some() {
            let shared = self.shared.clone();
            let _inside = shared.span.enter();
            let has_ended = self.poll_next(&mut None, cx) == Poll::Ready(false);
            if has_ended {
                self.finish();
            }
            return has_ended;
        }
        if std::mem::take(&mut self.starting) {
            self.shared.worker_started();
        }
        self.drive(now, cx).is_ready()
    }

    fn wake_consumer(&mut self) {
        if std::mem::take(&mut self.wakes.owes_consumer) {
            self.shared.wake_consumer();
        }
    }
}

impl<I, F, S, K> DynTask for Runs<I, F, S, K>
where
    I: MapInput + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
    K: CollectMode<S> + 'static,
{
    fn is_live(&self) -> bool {
        self.key.is_some()
    }

    /// Called once the task has stored its waker. A `cancel` whose wakers panicked may have woken the records instead
    /// (`MapState::wake_workers`), before that.
    fn cancel_waker(&self) -> Option<&CancelWaker> {
        if self.token.is_cancelled() {
            self.cancel_waker.fire();
        }
        Some(&self.cancel_waker)
    }

    /// Each of its runs gets one when it is made.
    fn own_token(&mut self) -> Option<&CancellationToken> {
        None
    }

    fn poll(&mut self, cx: &mut Context<'_>, now: Ticks, _: bool) -> bool {
        let has_ended = self.poll_task(cx, now);
        self.wake_consumer();
        has_ended
    }

    fn drop_run(&mut self) {
        self.run.set(None);
    }

    /// Does nothing: the worker has left the map already, inside the task, since that may drop the iterator.
    fn on_completed(&mut self, _: &Arc<TaskRecord>) -> Outcome {
        Outcome::Ok
    }

    fn on_aborted(&mut self, _: &Arc<TaskRecord>) {
        self.dequeue();
        self.wake_consumer();
        if let Some(source) = self.reading.take() {
            self.shared.return_unread(source);
        }
        if let Some(index) = self.index.take() {
            let (spec, origin) = (self.record.spec(), self.record.origin());
            let tasks = &self.shared.tasks;
            match error_of_abort(&tasks.scope, &tasks.token, origin, S::error) {
                Ok(error) => {
                    let ended = TaskCompletion::aborted(error);
                    let item = FinishedItem { task: spec.name(), index, ended };
                    _ = self.shared.store(item, Some(self.record.origin()), None);
                }
                Err(caught) => self.shared.store_unconvertible(spec.name(), caught),
            }
        }
        self.finish();
    }

    fn on_poll_panicked(&mut self, record: &Arc<TaskRecord>, caught: Caught) {
        drop_quietly(caught);
        self.on_aborted(record);
    }
}
