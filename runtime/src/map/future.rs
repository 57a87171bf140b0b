//! The future of a map in each mode: it starts the first worker, adds workers if the map is stalled, and ends the map.

use std::{
    panic::Location,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use tokio::task::coop::poll_proceed;
use tokio_util::sync::CancellationToken;

use crate::{clock::Ticks, run::future::SupervisedFuture};
use crate::{
    map::growth::{StallCheck, StallPolicy},
    map::item_source::MapInput,
    map::results::CollectMode,
    map::state::MapState,
    map::watch,
    map::worker::Worker,
};

/// The state of the futures and of the stream: the map before its start, and the state of its workers after it.
pub(crate) struct MapFuture<I: MapInput, F, S: SupervisedFuture, K: CollectMode<S>> {
    pub(crate) state: FutureState<I, F, S, K>,
    pub(crate) token: CancellationToken,
    pub(crate) place: &'static Location<'static>,
    pub(crate) limit: Option<usize>,
}

pub(crate) enum FutureState<I: MapInput, F, S: SupervisedFuture, K: CollectMode<S>> {
    New { items: I, f: F },
    Running { shared: Arc<MapState<I, F, S, K>>, stall: StallPolicy, blocked_since: Ticks },
    Done,
}

/// The nanoseconds after which an iterator that is still inside `next` is assumed to block.
const BLOCKED_AFTER: u64 = 10_000_000;

/// The next action of the map's own future.
enum NextCheck {
    /// It polls itself again at once.
    Again,
    WhenWoken,
    Finish,
}

/// Nothing is pinned here: the runs are, in their tasks.
impl<I: MapInput, F, S: SupervisedFuture, K: CollectMode<S>> Unpin for MapFuture<I, F, S, K> {}

impl<I, F, S, K> MapFuture<I, F, S, K>
where
    I: MapInput + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
    K: CollectMode<S> + 'static,
{
    pub(crate) fn start(&mut self) {
        if !matches!(self.state, FutureState::New { .. }) {
            return;
        }
        if let FutureState::New { items, f } = std::mem::replace(&mut self.state, FutureState::Done)
        {
            let token = self.token.child_token();
            let shared = Arc::new(MapState::new(token, self.place, items, f));
            self.state = FutureState::Running {
                shared: shared.clone(),
                stall: StallPolicy::new(),
                blocked_since: Ticks::NEVER,
            };
            if shared.has_work() {
                Worker::start(&shared, self.limit);
            }
        }
    }

    pub(crate) fn poll_results(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Vec<K::Item>, S::Error>> {
        let unit = ready!(poll_proceed(cx));
        // Stored before any code can panic: the drop of the map then stops its workers.
        self.start();
        let FutureState::Running { shared, .. } = &self.state else {
            panic!("a map was polled after completion");
        };
        if shared.poll_finished(cx).is_pending() && !self.check(cx) {
            return Poll::Pending;
        }
        unit.made_progress();
        Poll::Ready(self.finish())
    }

    /// Checks a map that is pending: whether it needs another worker, or ends without its iterator. Returns whether it
    /// ends.
    pub(crate) fn check(&mut self, cx: &Context<'_>) -> bool {
        let FutureState::Running { shared, stall, blocked_since } = &mut self.state else {
            return true;
        };
        let next = match shared.tasks.token.is_cancelled() {
            true => Self::on_blocked_iterator(shared, blocked_since),
            false => Self::on_stall(shared, stall),
        };
        if matches!(next, NextCheck::Again) {
            cx.waker().wake_by_ref();
        }
        matches!(next, NextCheck::Finish)
    }

    /// Starts another worker if the map is stalled.
    fn on_stall(shared: &Arc<MapState<I, F, S, K>>, stall: &mut StallPolicy) -> NextCheck {
        let Some(progress) = shared.progress(stall.multi_thread) else {
            return NextCheck::WhenWoken;
        };
        if progress.to_watch {
            let shared: Weak<MapState<I, F, S, K>> = Arc::downgrade(shared);
            watch::add(shared);
        }
        match stall.on_stall(&progress) {
            StallCheck::Again => return NextCheck::Again,
            StallCheck::WhenWoken => {}
            StallCheck::Grow => Worker::grow_exactly(shared),
        }
        NextCheck::WhenWoken
    }

    /// The token has fired: ends the map without its iterator if that blocks and no run is left.
    #[cold]
    fn on_blocked_iterator(shared: &MapState<I, F, S, K>, since: &mut Ticks) -> NextCheck {
        let give_up = !since.is_never() && since.elapsed_nanos() >= BLOCKED_AFTER;
        if !shared.is_blocked_on_iterator(give_up) {
            *since = Ticks::NEVER;
            return NextCheck::WhenWoken;
        }
        if give_up {
            return NextCheck::Finish;
        }
        if since.is_never() {
            *since = Ticks::now();
        }
        NextCheck::Again
    }

    pub(crate) fn finish(&mut self) -> Result<Vec<K::Item>, S::Error> {
        match std::mem::replace(&mut self.state, FutureState::Done) {
            FutureState::Running { shared, .. } => shared.take_results(),
            FutureState::New { .. } | FutureState::Done => {
                unreachable!("a map finishes once, after it started")
            }
        }
    }
}

impl<I: MapInput, F, S: SupervisedFuture, K: CollectMode<S>> Drop for MapFuture<I, F, S, K> {
    fn drop(&mut self) {
        if let FutureState::Running { shared, .. } = &self.state {
            shared.on_drop();
        }
    }
}
