//! Bounded fan-out over an iterator.

pub(crate) mod growth;
pub(crate) mod input;
pub(crate) mod item_source;
pub(crate) mod results;
pub(crate) mod state;
pub(crate) mod watch;
pub(crate) mod worker;

use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use tokio::task::coop::poll_proceed;
use tokio_util::sync::CancellationToken;

use crate::{clock::Ticks, run::future::SupervisedFuture};
use crate::{
    map::growth::{StallCheck, StallPolicy},
    map::results::{CollectMode, FailFast, Settle},
    map::state::MapState,
    map::worker::Worker,
};

/// Runs a supervised function over the items of an iterator, a bounded number at once, and returns the
/// results in the order of the items.
///
/// ```
/// use tokio_supervised::{CancellationToken, TaskError, map, supervised};
///
/// #[supervised]
/// async fn double(n: u32) -> Result<u32, TaskError> {
///     Ok(2 * n)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TaskError> {
/// let token = CancellationToken::new();
/// let doubled = map(&token, 1..=4, double).await?;
/// assert_eq!(doubled, [2, 4, 6, 8]);
/// # Ok(())
/// # }
/// ```
///
/// Each run gets a token that fires with `token`; a body that takes it gets its own child token. The first failure
/// cancels the rest and is returned when all runs have ended; the failures after it are logged at `WARN`, once each (if
/// there are more than 10 in a second, the number of the others). With [`settled`](Map::settled) every item has its own
/// result.
///
/// The iterator is read as runs end: memory grows with the limit and the results, not with the input. It is read, and
/// `f` called, by one thread at a time. A few tokio tasks drive the runs, one run after another and as many tasks as
/// the limit at most. A map starts with one of them, and starts others as soon as runs pend, take long, or compute.
/// Runs that are ready at once stay on one thread. A panic of the iterator or of `f` is a failure like any other.
///
/// Once `token` has fired, no further item is read. A map that was cut short by it returns an error, also if each run
/// that had started returned its value; a map whose input was exhausted does not. An iterator whose `size_hint` says
/// that there is nothing more counts as exhausted.
///
/// # Iterators that block
///
/// The iterator is read on a worker of the runtime, so it should not block. One that does (lines of standard input, a
/// `std::sync::mpsc::Receiver`) blocks one worker and the tasks that are queued on it. The other runs continue, and the
/// map still ends when its token fires or when it is dropped; its iterator is dropped when `next` returns. Read such an
/// input on a separate thread, and receive it from a channel:
///
/// ```
/// # use tokio_supervised::{CancellationToken, Group, TaskError, supervised};
/// # #[supervised(limit = 16)]
/// # async fn work(line: String) -> Result<usize, TaskError> { Ok(line.len()) }
/// # #[tokio::main]
/// # async fn main() -> Result<(), TaskError> {
/// # let token = CancellationToken::new();
/// let (send, mut lines) = tokio::sync::mpsc::channel(16);
/// std::thread::spawn(move || {
///     for line in std::io::stdin().lines().map_while(Result::ok) {
///         if send.blocking_send(line).is_err() {
///             break;
///         }
///     }
/// });
/// let group = Group::new(&token).limit(16);
/// while let Some(Some(line)) = token.run_until_cancelled(lines.recv()).await {
///     group.spawn(|token| work(token, line)).await;
/// }
/// let lengths = group.join().await?;
/// # Ok(())
/// # }
/// ```
///
/// Items, `f` and its futures are `'static`: pass owned items (`into_iter`, not `iter`).
///
/// # Comparison to `Group` and `buffered`
///
/// A [`Group`](crate::Group) takes different functions, and items from a channel; a
/// [table](crate::Group#comparison-to-pool-and-map) compares both with `Pool`.
///
/// `buffered` of the futures crate polls all futures in its caller's task: it is cheaper for futures that are ready at
/// once, uses one thread, catches no panic, and stops if its caller does not poll it. `map` runs items on all workers and
/// ends its siblings on a failure. Use `buffered` or `buffer_unordered` for a `Stream`, or for results as they come.
///
/// # Cancel safety
///
/// If the future is dropped, the runs are cancelled and aborted, and no more items are read.
#[track_caller]
pub fn map<I, F, S>(token: &CancellationToken, items: I, f: F) -> Map<I::IntoIter, F, S>
where
    I: IntoIterator,
    I::IntoIter: Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
{
    Map(MapFuture {
        state: FutureState::New { items: items.into_iter(), f },
        token: token.clone(),
        place: Location::caller(),
        limit: None,
    })
}

/// The future of [`map`]: awaited, it returns `Result<Vec<T>, E>`.
///
/// # Errors
///
/// The first failure of a run; a [`Cancelled`](crate::Cancelled) if the token fired before all items were read.
///
/// # Panics
///
/// If it is awaited outside a tokio runtime, or if the failure of a run cannot be converted into the error type: its
/// `From<TaskError>` panics, and panics again for that panic.
///
/// # Cancel safety
///
/// If the future is dropped, the runs are cancelled and aborted, and no more items are read.
#[must_use = "nothing runs until this is awaited"]
pub struct Map<I: Iterator, F, S: SupervisedFuture<Value: Send + 'static>>(
    MapFuture<I, F, S, FailFast>,
);

impl<I, F, S> Map<I, F, S>
where
    I: Iterator,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>,
{
    /// At most `limit` runs at once. Without it: the function's own `limit` when the map starts, else four times the
    /// number of threads that the machine runs at once; never without a bound.
    ///
    /// # Panics
    ///
    /// If `limit` is 0.
    #[track_caller]
    pub fn limit(mut self, limit: usize) -> Self {
        assert!(limit > 0, "a limit must not be 0: no task could run");
        self.0.limit = Some(limit);
        self
    }

    /// Returns the result of every item: awaited, it returns `Vec<Result<T, E>>`, and no failure cancels another item.
    ///
    /// Once the token has fired, no further item is read. The items that were read have their own results; a run that
    /// the token ended has a [`Cancelled`](crate::Cancelled). If items may be left unread, one more result follows: a
    /// [`Cancelled`](crate::Cancelled), which stands for all of them. So a `Vec` without one covers the whole input.
    ///
    /// ```
    /// # use tokio_supervised::{CancellationToken, TaskError, map, supervised};
    /// # #[supervised]
    /// # async fn double(n: u32) -> Result<u32, TaskError> { Ok(2 * n) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let token = CancellationToken::new();
    /// let ends = map(&token, 1..=4, double).settled().await;
    /// assert!(ends.into_iter().map(Result::unwrap).eq([2, 4, 6, 8]));
    ///
    /// token.cancel();
    /// let ends = map(&token, 1..=4, double).settled().await;
    /// assert!(matches!(ends[..], [Err(TaskError::Cancelled(_))]));
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the map has been polled already.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the runs are cancelled and aborted, and no more items are read.
    pub fn settled(mut self) -> Settled<I, F, S> {
        let state = match std::mem::replace(&mut self.0.state, FutureState::Done) {
            FutureState::New { items, f } => FutureState::New { items, f },
            FutureState::Running { .. } | FutureState::Done => {
                panic!("`settled` called on a map that was already polled")
            }
        };
        let MapFuture { token, place, limit, .. } = &self.0;
        Settled(MapFuture { state, token: token.clone(), place, limit: *limit })
    }
}

impl<I, F, S> Future for Map<I, F, S>
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
{
    type Output = Result<Vec<S::Value>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_results(cx)
    }
}

impl<I, F, S> fmt::Debug for Map<I, F, S>
where
    I: Iterator,
    S: SupervisedFuture<Value: Send + 'static>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("limit", &self.0.limit).finish_non_exhaustive()
    }
}

/// The future of [`Map::settled`]: awaited, it returns `Vec<Result<T, E>>`, in the order of the items.
///
/// # Panics
///
/// If it is awaited outside a tokio runtime, or if the failure of a run cannot be converted into the error type: its
/// `From<TaskError>` panics, and panics again for that panic.
///
/// # Cancel safety
///
/// If the future is dropped, the runs are cancelled and aborted, and no more items are read.
#[must_use = "nothing runs until this is awaited"]
pub struct Settled<I, F, S>(MapFuture<I, F, S, Settle>)
where
    I: Iterator,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>;

impl<I, F, S> Future for Settled<I, F, S>
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
{
    type Output = Vec<Result<S::Value, S::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_results(cx).map(|results| match results {
            Ok(results) => results,
            Err(_) => unreachable!("`Settle` returns failures as results"),
        })
    }
}

impl<I, F, S> fmt::Debug for Settled<I, F, S>
where
    I: Iterator,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settled").field("limit", &self.0.limit).finish_non_exhaustive()
    }
}

/// The state of both futures: the map before its start, and the state of its workers after it.
struct MapFuture<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>> {
    state: FutureState<I, F, S, K>,
    token: CancellationToken,
    place: &'static Location<'static>,
    limit: Option<usize>,
}

enum FutureState<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>> {
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
impl<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>> Unpin for MapFuture<I, F, S, K> {}

impl<I, F, S, K> MapFuture<I, F, S, K>
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
    K: CollectMode<S> + 'static,
{
    fn start(&mut self) {
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

    fn poll_results(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<K::Item>, S::Error>> {
        let unit = ready!(poll_proceed(cx));
        // Stored before any code can panic: the drop of the map then stops its workers.
        self.start();
        let FutureState::Running { shared, stall, blocked_since } = &mut self.state else {
            panic!("a map was polled after completion");
        };
        if shared.poll_finished(cx).is_pending() {
            let next = match shared.tasks.token.is_cancelled() {
                true => Self::on_blocked_iterator(shared, blocked_since),
                false => Self::on_stall(shared, stall),
            };
            match next {
                NextCheck::Again => cx.waker().wake_by_ref(),
                NextCheck::WhenWoken => {}
                NextCheck::Finish => {
                    unit.made_progress();
                    return self.finish();
                }
            }
            return Poll::Pending;
        }
        unit.made_progress();
        self.finish()
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

    fn finish(&mut self) -> Poll<Result<Vec<K::Item>, S::Error>> {
        match std::mem::replace(&mut self.state, FutureState::Done) {
            FutureState::Running { shared, .. } => Poll::Ready(shared.take_results()),
            FutureState::New { .. } | FutureState::Done => {
                unreachable!("a map finishes once, after it started")
            }
        }
    }
}

impl<I: Iterator, F, S: SupervisedFuture, K: CollectMode<S>> Drop for MapFuture<I, F, S, K> {
    fn drop(&mut self) {
        if let FutureState::Running { shared, .. } = &self.state {
            shared.on_drop();
        }
    }
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use std::{
        future::{pending, poll_fn},
        sync::atomic::{AtomicBool, Ordering},
    };

    use tokio::task::yield_now;

    use super::*;
    use crate::{
        error::TaskError,
        function::{Policy, TaskSpec},
        run::future::supervise,
        run::output::{SupervisedOutput as _, output},
    };

    type Body = Pin<Box<dyn Future<Output = Result<Arc<()>, TaskError>> + Send>>;

    #[tokio::test]
    async fn a_dropped_map_drops_its_results_at_once() {
        static SPEC: TaskSpec = TaskSpec::new("of a dropped map", Policy::DEFAULT);

        static IS_STORED: AtomicBool = AtomicBool::new(false);

        let value = Arc::new(());
        let given = value.clone();
        let runs = move |token: CancellationToken, n: u8| {
            let value = given.clone();
            let body: Body = match n {
                0 => Box::pin(async { Ok(value) }),
                _ => Box::pin(pending()),
            };
            // With one worker, the first result is stored before the second item is read.
            IS_STORED.store(n == 1, Ordering::SeqCst);
            supervise(&SPEC, token, output(Result::<Arc<()>, TaskError>::by_shape), body)
        };
        let mut map = map(&CancellationToken::new(), 0..2, runs).limit(1);
        while !IS_STORED.load(Ordering::SeqCst) {
            let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut map).poll(cx))).await;
            assert!(polled.is_pending());
            yield_now().await;
        }
        let FutureState::Running { shared, .. } = &map.0.state else { panic!("the map runs") };
        let last = shared.clone();
        drop(map);
        while Arc::strong_count(&last) > 1 {
            yield_now().await;
        }
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
