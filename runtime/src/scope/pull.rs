//! What the runners of a map share: the iterator that they pull from, and the results.
//!
//! Invariants
//!
//! 1. An item's end is stored, and the next item pulled, under one lock: once per item.
//! 2. The first failure is recorded before the cancellation that it triggers.
//! 3. The iterator and `f` are dropped before the last runner leaves, and outside the lock; they run under
//!    it, under [`panic::catch`], by one runner at a time.

mod runners;

use std::{
    collections::VecDeque,
    panic::Location,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::{
    batch::Batch,
    keep::Keep,
    ordered::{Index, Ordered},
    source::{Next, Source, drop_source},
};
use crate::{
    Cause, Outcome, Panic, TaskError,
    clock::Ticks,
    events,
    limit::Limit,
    panic::{self, Caught, drop_each_quietly, drop_quietly},
    registry::{HasTasks, Listed, Slab},
    run::{SupervisedFuture, row::Row, scope::Scope},
    spec::TaskSpec,
};

pub(super) struct Shared<I: Iterator, F, S: SupervisedFuture, K: Keep<S>> {
    pub(super) token: CancellationToken,
    pub(super) scope: Arc<Scope>,
    pub(super) place: &'static Location<'static>,
    /// Of who called the map: its runners' spans are inside.
    pub(super) span: Span,
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
    /// Runs that were pulled ahead and given back before they had begun.
    returned: VecDeque<(Index, S)>,
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
        (self.source.is_some() || !self.returned.is_empty()) && self.runners < self.limit.size()
    }
}

/// What nobody has taken is dropped one by one: two panics at once would abort the process.
impl<I: Iterator, F, S: SupervisedFuture, K: Keep<S>> Drop for State<I, F, S, K> {
    fn drop(&mut self) {
        drop_source(self.source.take());
        drop_each_quietly(self.results.take());
        drop_each_quietly(std::mem::take(&mut self.returned));
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
pub(super) struct Driven<T, E> {
    pub(super) task: &'static str,
    pub(super) index: Index,
    pub(super) outcome: Outcome,
    /// What is kept of it, or the failure that stops the rest.
    pub(super) kept: Result<T, E>,
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
            span: Span::current(),
            runners: Mutex::default(),
            listed: OnceLock::new(),
            may_grow: AtomicBool::new(false),
            state: Mutex::new(State {
                source: Some(Source { items, f }),
                results: Ordered::new(),
                returned: VecDeque::new(),
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
            waiting.wake();
        }
    }

    pub(super) fn poll_ended(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.runners == 0 {
            return Poll::Ready(());
        }
        match &mut state.waiting {
            Some(waiting) => waiting.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
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
    pub(super) fn store(&self, driven: Driven<K::Kept, S::Error>) {
        let task = driven.task;
        let mut state = self.state();
        let (stops, surplus) = Self::record(&mut state, driven);
        let source = if stops { state.source.take() } else { None };
        self.release(state, stops.then_some(task), source, surplus);
    }

    /// Takes back what a runner has pulled ahead, and puts what it has done into its place.
    pub(super) fn give_back(&self, batch: &mut Batch<S, K::Kept>) {
        let mut state = self.state();
        for (index, kept) in batch.ends.drain(..) {
            state.results.put(index, kept);
        }
        state.returned.extend(batch.ahead.drain(..));
        self.may_grow.store(state.may_grow(), Ordering::Relaxed);
    }

    /// What was given back, for who will not begin it either.
    pub(super) fn take_returned(&self) -> VecDeque<(Index, S)> {
        std::mem::take(&mut self.state().returned)
    }

    /// A run has ended, and no error could be made of how.
    pub(super) fn store_untold(&self, task: &'static str, caught: Caught) {
        let mut state = self.state();
        state.untold.get_or_insert(caught);
        let source = state.source.take();
        self.release(state, Some(task), source, None);
    }

    fn record(
        state: &mut State<I, F, S, K>,
        Driven { index, kept, .. }: Driven<K::Kept, S::Error>,
    ) -> (bool, Option<S::Error>) {
        match kept {
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
        if !self.token.is_cancelled() {
            self.scope.explain(cause);
            self.token.cancel();
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
    /// Stores what the runner has done, and makes the next run, where it is put; others are put into the batch.
    ///
    /// `spares` are handles on the runner's token: to clone one takes its lock, and is not done under this one.
    pub(super) fn pull(
        &self,
        (token, spares): (&CancellationToken, &mut Vec<CancellationToken>),
        mut done: Option<Driven<K::Kept, S::Error>>,
        batch: &mut Batch<S, K::Kept>,
        mut put: impl FnMut(S),
    ) -> Option<Index> {
        loop {
            while spares.len() < batch.size() {
                spares.push(token.clone());
            }
            let Step { run, panicked } = self.step(spares, done, batch, &mut put);
            let Some((index, caught)) = panicked else { return run };
            let panic = Panic::new(CLOSURE, caught);
            events::panicked(&panic);
            match panic::catch(|| S::error(TaskError::Panicked(panic))) {
                Ok(error) => {
                    let (task, outcome, kept) = (CLOSURE, Outcome::Panicked, K::keep(Err(error)));
                    let driven = Driven { task, index, outcome, kept };
                    if run.is_some() {
                        self.store(driven);
                        return run;
                    }
                    done = Some(driven);
                }
                Err(caught) => {
                    self.store_untold(CLOSURE, caught);
                    return run;
                }
            }
        }
    }

    #[inline]
    fn step(
        &self,
        spares: &mut Vec<CancellationToken>,
        done: Option<Driven<K::Kept, S::Error>>,
        batch: &mut Batch<S, K::Kept>,
        put: &mut impl FnMut(S),
    ) -> Step {
        let mut state = self.state();
        for (index, kept) in batch.ends.drain(..) {
            state.results.put(index, kept);
        }
        if let Some(driven) = done {
            let task = driven.task;
            let cut_short = driven.outcome == Outcome::Cancelled && self.token.is_cancelled();
            let (stops, surplus) = Self::record(&mut state, driven);
            if stops || surplus.is_some() || cut_short {
                let source = state.source.take();
                // What has not begun has no end of its own where the map fails; else it ends cancelled.
                let failed = state.failure.is_some();
                let doomed =
                    if failed { std::mem::take(&mut state.returned) } else { VecDeque::new() };
                self.may_grow.store(state.may_grow(), Ordering::Relaxed);
                self.release(state, stops.then_some(task), source, surplus);
                drop_each_quietly(doomed);
                if failed {
                    drop_each_quietly(batch.ahead.drain(..));
                    return Step::default();
                }
                state = self.state();
            }
        }
        // In the order of the items, where there is a choice.
        if let Some((index, run)) = batch.ahead.pop_front() {
            state.returned.extend(batch.ahead.drain(..));
            drop(state);
            put(run);
            return Step { run: Some(index), panicked: None };
        }
        if let Some((index, run)) = state.returned.pop_front() {
            drop(state);
            put(run);
            return Step { run: Some(index), panicked: None };
        }
        let (step, source) = read(&mut state, spares, batch, put);
        let may_grow = state.may_grow();
        if may_grow != self.may_grow.load(Ordering::Relaxed) {
            self.may_grow.store(may_grow, Ordering::Relaxed);
        }
        if source.is_some() {
            self.release(state, None, source, None);
        }
        step
    }
}

/// Reads the next item, and others where the batch wants them. Gives the source back where it is at its end.
#[inline]
fn read<I, F, S, K>(
    state: &mut State<I, F, S, K>,
    spares: &mut Vec<CancellationToken>,
    batch: &mut Batch<S, K::Kept>,
    put: &mut impl FnMut(S),
) -> (Step, Option<Source<I, F>>)
where
    I: Iterator,
    F: FnMut(CancellationToken, I::Item) -> S,
    S: SupervisedFuture,
    K: Keep<S>,
{
    let Some(source) = &mut state.source else { return (Step::default(), None) };
    let wanted = batch.wanted(source);
    let begun = (wanted > 1).then(Ticks::now);
    let mut spare = || spares.pop().expect("there are as many handles as a batch has runs");
    let mut step = Step::default();
    let mut next = source.next(spare(), &mut *put);
    if let Next::Made = next {
        step.run = Some(state.results.place());
        for _ in 1..wanted {
            let mut made = None;
            next = source.next(spare(), |run| made = Some(run));
            let Some(run) = made else { break };
            batch.ahead.push_back((state.results.place(), run));
        }
    }
    batch.were_read(1 + batch.ahead.len(), begun);
    let is_over = match next {
        Next::Made => false,
        Next::Exhausted => true,
        Next::Panicked { caught, of_the_iterator } => {
            step.panicked = Some((state.results.place(), caught));
            of_the_iterator
        }
    };
    (step, if is_over { state.source.take() } else { None })
}

/// What a look at the map gave a runner.
#[derive(Default)]
struct Step {
    run: Option<Index>,
    /// The item at this place could not be made.
    panicked: Option<(Index, Caught)>,
}
