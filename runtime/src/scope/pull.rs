//! What the runners of a map share: the iterator that they pull from, and the results.
//!
//! Invariants
//!
//! 1. An item's end is stored, and the next item pulled, under one lock: once per item.
//! 2. The first failure is recorded before the cancellation that it triggers.
//! 3. The iterator and `f` are dropped before the last runner leaves, and outside the lock; they run under
//!    it, under [`panic::catch`], by one runner at a time.
//! 4. A runner that is entered while the map is dropped is aborted.
//!
//! `pull/loom.rs` checks 1, 2 and 4 for every interleaving.

#[cfg(all(test, supervised_loom))]
mod loom;
mod runners;

use std::{
    panic::Location,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio_util::sync::CancellationToken;

use super::{
    keep::Keep,
    ordered::{Index, Ordered},
    source::{Next, Source, drop_source},
};
use crate::{
    Cause, Outcome, Panic, TaskError, events,
    limit::Limit,
    panic::{self, Caught, drop_each_quietly, drop_quietly, quietly},
    registry::{HasTasks, Listed, Slab},
    run::{Ended, SupervisedFuture, row::Row, scope::Scope},
    span::TaskSpan,
    spec::TaskSpec,
    sync::{
        Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

pub(super) struct Shared<I: Iterator, F, S: SupervisedFuture, K: Keep<S>> {
    pub(super) token: CancellationToken,
    pub(super) scope: Arc<Scope>,
    pub(super) place: &'static Location<'static>,
    /// Of who called the map: its runners' spans are inside.
    pub(super) span: TaskSpan,
    /// Under a lock of their own: the iterator runs under the other one, and may look at the live tasks.
    runners: Mutex<Slab<Arc<Row>>>,
    listed: OnceLock<Listed<dyn HasTasks>>,
    /// Whether one more runner would have something to do, as of the last look at the state.
    may_grow: AtomicBool,
    state: Mutex<State<I, F, S, K>>,
}

struct State<I: Iterator, F, S: SupervisedFuture, K: Keep<S>> {
    /// Gone when it is exhausted, or nothing more is to be run.
    source: Option<Source<I, F>>,
    /// A place for each item that was pulled.
    results: Ordered<K::Kept>,
    failure: Option<S::Error>,
    /// A panic of an error's conversion: there is no error to tell it with, and the map panics.
    untold: Option<Caught>,
    runners: usize,
    /// The function, once the first run has told it.
    spec: Option<&'static TaskSpec>,
    limit: Bound,
    closed: bool,
    waiting: Option<Waker>,
}

impl<I: Iterator, F, S: SupervisedFuture, K: Keep<S>> State<I, F, S, K> {
    /// Whether there may be work for one more runner, and room for it.
    fn may_grow(&self) -> bool {
        self.source.is_some() && self.runners < self.limit.size()
    }
}

/// What nobody has taken is dropped one by one: two panics at once would abort the process.
impl<I: Iterator, F, S: SupervisedFuture, K: Keep<S>> Drop for State<I, F, S, K> {
    fn drop(&mut self) {
        drop_source(self.source.take());
        drop_each_quietly(self.results.take());
        drop_quietly(self.failure.take());
    }
}

/// How many runners there may be.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    Fixed(usize),
    /// As many as the function's own limit says, which may change.
    Own(&'static Limit),
}

impl Bound {
    fn size(self) -> usize {
        match self {
            Self::Fixed(size) => size,
            Self::Own(limit) => limit.size(),
        }
    }
}

/// A run that a runner has driven to its end.
pub(super) struct Driven<S: SupervisedFuture> {
    pub(super) task: &'static str,
    pub(super) index: Index,
    pub(super) ended: Ended<S::Value, S::Error>,
}

/// The name of a task whose item could not be made.
const CLOSURE: &str = "map";

impl<I: Iterator, F, S: SupervisedFuture, K: Keep<S>> Shared<I, F, S, K> {
    pub(super) fn new(
        token: CancellationToken,
        place: &'static Location<'static>,
        items: I,
        f: F,
    ) -> Self {
        Self {
            scope: Scope::nested(token.clone()),
            token,
            place,
            span: TaskSpan::current(),
            runners: Mutex::default(),
            listed: OnceLock::new(),
            may_grow: AtomicBool::new(false),
            state: Mutex::new(State {
                source: Some(Source { items, f }),
                results: Ordered::new(),
                failure: None,
                untold: None,
                runners: 1,
                spec: None,
                limit: Bound::Fixed(1),
                closed: false,
                waiting: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<I, F, S, K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the map's own future, to look at its runners.
    pub(super) fn wake(&self) {
        let waiting = self.state().waiting.take();
        if let Some(waiting) = waiting {
            quietly(|| waiting.wake());
        }
    }

    pub(super) fn poll_ended(&self, cx: &Context<'_>) -> Poll<()> {
        let state = self.state();
        if state.runners == 0 {
            return Poll::Ready(());
        }
        if state.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        drop(state);
        // Foreign code: not under the lock.
        let waiting = cx.waker().clone();
        let mut state = self.state();
        let before = state.waiting.replace(waiting);
        let ended = state.runners == 0;
        drop(state);
        drop(before);
        if ended { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(super) fn take_results(&self) -> Result<Vec<K::Kept>, S::Error> {
        let mut state = self.state();
        let results = state.results.take();
        let failure = state.failure.take();
        let untold = state.untold.take();
        drop(state);
        match (failure, untold) {
            (Some(error), _) => {
                drop_each_quietly(results);
                Err(error)
            }
            (None, Some(caught)) => {
                drop_each_quietly(results);
                caught.resume()
            }
            (None, None) => Ok(results),
        }
    }

    /// The future of the map is dropped.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.closed = true;
        let source = state.source.take();
        drop(state);
        let runners: Vec<_> = self.runners().iter().cloned().collect();
        self.stop(Cause::ScopeDropped);
        for runner in runners {
            runner.abort();
        }
        drop_source(source);
    }

    /// Stores an end where no next item is wanted: the runner is being aborted.
    pub(super) fn store(&self, Driven { task, index, ended }: Driven<S>) {
        let mut state = self.state();
        let (stops, surplus) = self.record(&mut state, index, ended);
        let source = if stops { state.source.take() } else { None };
        self.release(state, stops.then_some(task), source, surplus);
    }

    /// A run has ended, and no error could be made of how.
    pub(super) fn store_untold(&self, task: &'static str, caught: Caught) {
        let mut state = self.state();
        state.untold.get_or_insert(caught);
        let source = state.source.take();
        self.release(state, Some(task), source, None);
    }

    fn record(
        &self,
        state: &mut State<I, F, S, K>,
        index: Index,
        ended: Ended<S::Value, S::Error>,
    ) -> (bool, Option<S::Error>) {
        match K::keep(ended.result) {
            Ok(kept) => {
                state.results.put(index, kept);
                (false, None)
            }
            Err(error) if state.failure.is_none() => {
                state.failure = Some(error);
                (true, None)
            }
            Err(surplus) => (false, Some(surplus)),
        }
    }

    /// Cancels the rest; where they are cancelled already, that has a cause of its own.
    fn stop(&self, cause: Cause) {
        if self.token.is_cancelled() {
            return;
        }
        if !self.scope.cancel(cause, || quietly(|| self.token.cancel())) {
            self.wake_runners();
        }
    }

    /// Gives the lock back, then does what must not be done under it.
    fn release(
        &self,
        state: MutexGuard<'_, State<I, F, S, K>>,
        failed: Option<&'static str>,
        source: Option<Source<I, F>>,
        surplus: Option<S::Error>,
    ) {
        drop(state);
        if let Some(task) = failed {
            self.stop(Cause::SiblingFailed { task });
        }
        drop_source(source);
        drop_quietly(surplus);
    }
}

impl<I, F, S, K> Shared<I, F, S, K>
where
    I: Iterator,
    F: FnMut(CancellationToken, I::Item) -> S,
    S: SupervisedFuture,
    K: Keep<S>,
{
    /// Stores what the runner has done, and makes the next run, where it is put.
    ///
    /// The token for it comes from `token`: to clone it takes its lock, and is not done under this one.
    #[inline]
    pub(super) fn pull(
        &self,
        mut token: impl FnMut() -> CancellationToken,
        done: Option<Driven<S>>,
        mut put: impl FnMut(S),
    ) -> Option<Index> {
        let mut step = self.step(token(), done, &mut put);
        loop {
            let (index, caught) = match step {
                Step::Run(index) => return Some(index),
                Step::Nothing => return None,
                Step::Panicked(index, caught) => (index, caught),
            };
            step = self.step(token(), Some(self.unmade(index, caught)?), &mut put);
        }
    }

    /// An item could not be made; `None` where no error could be made of that either.
    #[cold]
    fn unmade(&self, index: Index, caught: Caught) -> Option<Driven<S>> {
        let panic = Panic::new(CLOSURE, caught);
        events::panicked(&panic);
        match panic::catch(|| S::error(TaskError::Panicked(panic))) {
            Ok(error) => {
                let outcome = Outcome::Panicked;
                let ended = Ended { outcome, overdue: false, nanos: 0, result: Err(error) };
                Some(Driven { task: CLOSURE, index, ended })
            }
            Err(caught) => {
                self.store_untold(CLOSURE, caught);
                None
            }
        }
    }

    fn step(&self, token: CancellationToken, done: Option<Driven<S>>, put: impl FnOnce(S)) -> Step {
        let mut state = self.state();
        let mut surplus = None;
        if let Some(Driven { task, index, ended }) = done {
            let cut_short = ended.outcome == Outcome::Cancelled && self.token.is_cancelled();
            let (stops, error) = self.record(&mut state, index, ended);
            surplus = error;
            if stops || cut_short {
                let source = state.source.take();
                self.may_grow.store(false, Ordering::Relaxed);
                self.release(state, stops.then_some(task), source, surplus);
                return Step::Nothing;
            }
        }
        let next = state.source.as_mut().map(|source| source.next(token, put));
        let is_over =
            matches!(next, Some(Next::Exhausted | Next::Panicked { of_the_iterator: true, .. }));
        let source = if is_over { state.source.take() } else { None };
        let step = match next {
            None | Some(Next::Exhausted) => Step::Nothing,
            Some(Next::Made) => Step::Run(state.results.place()),
            Some(Next::Panicked { caught, .. }) => Step::Panicked(state.results.place(), caught),
        };
        let may_grow = state.may_grow();
        if may_grow != self.may_grow.load(Ordering::Relaxed) {
            self.may_grow.store(may_grow, Ordering::Relaxed);
        }
        if source.is_some() || surplus.is_some() {
            self.release(state, None, source, surplus);
        }
        step
    }
}

enum Step {
    Run(Index),
    Nothing,
    /// The item at this place could not be made.
    Panicked(Index, Caught),
}
