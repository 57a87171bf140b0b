//! Bounded fan-out over an iterator or a stream.

pub(crate) mod future;
pub(crate) mod growth;
pub(crate) mod input;
pub(crate) mod item_source;
pub(crate) mod results;
pub(crate) mod state;
pub(crate) mod stream;
pub(crate) mod watch;
pub(crate) mod worker;

use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use tokio_util::sync::CancellationToken;

use crate::run::future::SupervisedFuture;
use crate::{
    map::future::{FutureState, MapFuture},
    map::item_source::{FromStream, MapInput},
    map::results::{AsCompleted, CollectMode, FailFast, InOrder, Settle},
    map::stream::Results,
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
/// # use tokio_supervised::{CancellationToken, TaskError, map_stream, supervised};
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
/// let lines = futures_util::stream::poll_fn(move |cx| lines.poll_recv(cx));
/// let lengths = map_stream(&token, lines, work).await?;
/// # Ok(())
/// # }
/// ```
///
/// Items, `f` and its futures are `'static`: pass owned items (`into_iter`, not `iter`).
///
/// # Comparison to `Group` and `buffered`
///
/// A [`Group`](crate::Group) takes different functions; a
/// [table](crate::Group#comparison-to-pool-and-map) compares both with `Pool`.
///
/// `buffered` of the futures crate polls all futures in its caller's task: it is cheaper for futures that are ready at
/// once, uses one thread, catches no panic, and stops if its caller does not poll it. `map` runs items on all workers and
/// ends its siblings on a failure. For a `Stream` use [`map_stream`]; for results as they come, [`results`](Map::results)
/// or [`unordered`](Map::unordered).
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
    Map::new(token, items.into_iter(), f)
}

/// Runs a supervised function over the items of a stream, a bounded number at once.
///
/// Like [`map`](crate::map()), for a [`Stream`]: the lines of a socket, the messages of a channel
/// (`tokio_stream::wrappers`), the rows of a query. Awaited, it returns `Result<Vec<T>, E>`; for an input that is large
/// or endless, use [`unordered`](Map::unordered) or [`results`](Map::results), which return one result at a time. The
/// [guide](crate#guide) compares them.
///
/// ```
/// # use tokio_supervised::{CancellationToken, TaskError, map_stream, supervised};
/// #[supervised(limit = 8)]
/// async fn double(n: u32) -> Result<u32, TaskError> {
///     Ok(2 * n)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TaskError> {
/// # let token = CancellationToken::new();
/// # let numbers = futures_util::stream::iter(1..=4);
/// let mut doubled = map_stream(&token, numbers, double).results();
/// while let Some(n) = doubled.next().await {
///     println!("{}", n?);
/// }
/// # Ok(())
/// # }
/// ```
///
/// The stream is polled by the workers, by one at a time, and only when a run can start; it is not polled after its end,
/// nor after it has panicked. A worker waits for it without blocking its thread, and the runs in progress continue. A
/// stream whose `size_hint` says that there is nothing more counts as exhausted. A stream of `Result`s is mapped by a
/// function that takes the `Result`.
///
/// # Cancel safety
///
/// If the future or the [`Results`] are dropped, the runs are cancelled and aborted, and no more items are read. The
/// stream is dropped by the worker that reads it. An item that was read is lost with its run.
#[track_caller]
pub fn map_stream<I, F, S>(token: &CancellationToken, stream: I, f: F) -> Map<FromStream<I>, F, S>
where
    I: Stream + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
{
    Map::new(token, FromStream::new(stream), f)
}

/// The future of [`map`] and [`map_stream`](crate::map_stream): awaited, it returns `Result<Vec<T>, E>`.
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
pub struct Map<I: MapInput, F, S: SupervisedFuture<Value: Send + 'static>>(
    MapFuture<I, F, S, FailFast>,
);

impl<I, F, S> Map<I, F, S>
where
    I: MapInput,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>,
{
    #[track_caller]
    pub(crate) fn new(token: &CancellationToken, items: I, f: F) -> Self {
        Self(MapFuture {
            state: FutureState::New { items, f },
            token: token.clone(),
            place: Location::caller(),
            limit: None,
        })
    }

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
    pub fn settled(self) -> Settled<I, F, S> {
        Settled(self.into_mode("settled"))
    }

    /// Returns the results as a stream, in the order of the input. No failure cancels another item.
    ///
    /// Each item has its own result, a value or an error. To know which input a result belongs to, return it with the
    /// value.
    ///
    /// An item is read while fewer than `limit` items run and fewer than `limit` results wait for the consumer; so a
    /// consumer that is slow, or has stopped polling, pauses the reading. Items in progress continue meanwhile: each
    /// worker is a separate task. Their results wait too, so at most `2 * limit` items have been read and not yet
    /// returned. A slow item holds back the results after it: the reading pauses when `limit` of these wait. If the
    /// order does not matter, use [`unordered`](Self::unordered).
    ///
    /// Once the token has fired, no further item is read. Items that have started still have their results. If items
    /// may be left unread, the last result is a [`Cancelled`](crate::Cancelled), which stands for all of them.
    ///
    /// ```
    /// # use tokio_supervised::{CancellationToken, TaskError, map, supervised};
    /// #[supervised]
    /// async fn parse(line: &'static str) -> Result<u32, TaskError> {
    ///     line.parse().map_err(|_| panic!("not a number: {line}"))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let token = CancellationToken::new();
    /// let mut numbers = map(&token, ["1", "x", "3"], parse).results();
    /// let (mut sum, mut failed) = (0, 0);
    /// while let Some(number) = numbers.next().await {
    ///     match number {
    ///         Ok(number) => sum += number,
    ///         Err(_) => failed += 1,
    ///     }
    /// }
    /// assert_eq!((sum, failed), (4, 1));
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the map has been polled already.
    pub fn results(self) -> Results<S::Value, S::Error>
    where
        I: Send + 'static,
        F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
        S: Send + 'static,
    {
        Results::new(self.into_mode::<InOrder>("results"))
    }

    /// Returns the results as a stream, in the order in which the items finish. No failure cancels another item.
    ///
    /// Like [`results`](Self::results), but a slow item holds back no other result.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tokio_supervised::{CancellationToken, TaskError, map, supervised};
    /// #[supervised]
    /// async fn sleep(millis: u64) -> Result<u64, TaskError> {
    ///     tokio::time::sleep(Duration::from_millis(millis)).await;
    ///     Ok(millis)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), TaskError> {
    /// # let token = CancellationToken::new();
    /// let mut slept = map(&token, [200, 1], sleep).unordered();
    /// assert_eq!(slept.next().await.transpose()?, Some(1));
    /// assert_eq!(slept.next().await.transpose()?, Some(200));
    /// assert!(slept.next().await.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the map has been polled already.
    pub fn unordered(self) -> Results<S::Value, S::Error>
    where
        I: Send + 'static,
        F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
        S: Send + 'static,
    {
        Results::new(self.into_mode::<AsCompleted>("unordered"))
    }

    fn into_mode<K: CollectMode<S>>(mut self, method: &str) -> MapFuture<I, F, S, K> {
        let state = match std::mem::replace(&mut self.0.state, FutureState::Done) {
            FutureState::New { items, f } => FutureState::New { items, f },
            FutureState::Running { .. } | FutureState::Done => {
                panic!("`{method}` called on a map that was already polled")
            }
        };
        let MapFuture { token, place, limit, .. } = &self.0;
        MapFuture { state, token: token.clone(), place, limit: *limit }
    }
}

impl<I, F, S> Future for Map<I, F, S>
where
    I: MapInput + Send + 'static,
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
    I: MapInput,
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
    I: MapInput,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>;

impl<I, F, S> Future for Settled<I, F, S>
where
    I: MapInput + Send + 'static,
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
    I: MapInput,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settled").field("limit", &self.0.limit).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use std::{
        future::{pending, poll_fn},
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
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
