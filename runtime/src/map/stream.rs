//! The results of a map, one by one.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};
use tokio::task::coop::poll_proceed;
use tokio_util::sync::CancellationToken;

use crate::{
    map::future::{FutureState, MapFuture},
    map::item_source::MapInput,
    map::results::{CollectMode, StreamBuffer},
    panic,
    run::future::SupervisedFuture,
};

/// The results of a map, one by one: a [`Stream`], and an inherent [`next`](Self::next).
///
/// Made by [`Map::results`](crate::Map::results) and [`Map::unordered`](crate::Map::unordered). Nothing runs until it is polled. It may be handed to another task,
/// which then gets the remaining results. After its end it returns `None` for ever.
///
/// ```
/// use futures_util::StreamExt as _;
/// # use tokio_supervised::{CancellationToken, TaskError, map, supervised};
/// # #[supervised]
/// # async fn double(n: u32) -> Result<u32, TaskError> { Ok(2 * n) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let token = CancellationToken::new();
/// let doubled = map(&token, 1..=4, double).results();
/// let doubled: Vec<u32> = doubled.filter_map(async |n| n.ok()).collect().await;
/// assert_eq!(doubled, [2, 4, 6, 8]);
/// # }
/// ```
///
/// # Panics
///
/// If it is polled outside a tokio runtime, or if the failure of a run cannot be converted into the error type: its
/// `From<TaskError>` panics, and panics again for that panic. The results that wait are returned before that.
///
/// # Cancel safety
///
/// If it is dropped, the runs are cancelled and aborted, and no more items are read.
#[must_use = "nothing runs until this is polled"]
pub struct Results<T, E>(Box<dyn PollResults<T, E> + Send>);

/// A map of any input and function.
trait PollResults<T, E> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, E>>>;
    fn size_hint(&self) -> (usize, Option<usize>);
    fn is_terminated(&self) -> bool;
}

impl<T, E> Results<T, E> {
    pub(crate) fn new<I, F, S, K>(map: MapFuture<I, F, S, K>) -> Self
    where
        I: MapInput + Send + 'static,
        F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
        S: SupervisedFuture<Value = T, Error = E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
        K: CollectMode<S, Item = Result<T, E>, Buffer: StreamBuffer> + Send + 'static,
    {
        Self(Box::new(Streaming { map, taken: 0, at_most: None }))
    }

    /// Returns the next result; `None` if all have been returned.
    ///
    /// # Errors
    ///
    /// The failure of one item; at last a [`Cancelled`](crate::Cancelled), if the token fired before all items were read.
    ///
    /// # Panics
    ///
    /// As described at [`Results`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no result is lost, and the items in progress continue.
    pub async fn next(&mut self) -> Option<Result<T, E>> {
        poll_fn(|cx| self.0.poll_next(cx)).await
    }
}

impl<T, E> Stream for Results<T, E> {
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T, E> FusedStream for Results<T, E> {
    fn is_terminated(&self) -> bool {
        self.0.is_terminated()
    }
}

impl<T, E> fmt::Debug for Results<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Results").field("ended", &self.0.is_terminated()).finish_non_exhaustive()
    }
}

struct Streaming<I: MapInput, F, S: SupervisedFuture, K: CollectMode<S>> {
    map: MapFuture<I, F, S, K>,
    /// The number of results that were returned.
    taken: usize,
    /// The maximum number of items that the input had before its first read, if it was known.
    at_most: Option<usize>,
}

impl<I, F, S, K> PollResults<S::Value, S::Error> for Streaming<I, F, S, K>
where
    I: MapInput + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
    K: CollectMode<S, Item = Result<S::Value, S::Error>, Buffer: StreamBuffer> + 'static,
{
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<S::Value, S::Error>>> {
        let unit = ready!(poll_proceed(cx));
        match &self.map.state {
            FutureState::Running { .. } => {}
            FutureState::New { items, .. } => {
                self.at_most = panic::catch(|| items.at_most()).unwrap_or(None);
            }
            FutureState::Done => {
                unit.made_progress();
                return Poll::Ready(None);
            }
        }
        // Stored before any code can panic: the drop of the map then stops its workers.
        self.map.start();
        let mut polled = self.poll_running(cx);
        if polled.is_pending() && self.map.check(cx) {
            // It ends without its iterator, which blocks.
            polled = self.poll_running(cx);
        }
        let next = ready!(polled);
        unit.made_progress();
        let next = next.or_else(|| self.end());
        self.taken += usize::from(next.is_some());
        Poll::Ready(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.map.state {
            FutureState::New { items, .. } => (0, panic::catch(|| items.at_most()).unwrap_or(None)),
            FutureState::Running { shared, .. } => {
                let (least, exactly) = shared.remaining(self.taken);
                let most = self.at_most.map(|most| most.saturating_sub(self.taken).max(least));
                (least, exactly.or(most))
            }
            FutureState::Done => (0, Some(0)),
        }
    }

    fn is_terminated(&self) -> bool {
        matches!(self.map.state, FutureState::Done)
    }
}

impl<I, F, S, K> Streaming<I, F, S, K>
where
    I: MapInput + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static> + Send + 'static,
    K: CollectMode<S, Item = Result<S::Value, S::Error>, Buffer: StreamBuffer> + 'static,
{
    fn poll_running(&self, cx: &Context<'_>) -> Poll<Option<K::Item>> {
        match &self.map.state {
            FutureState::Running { shared, .. } => shared.poll_next(cx),
            FutureState::New { .. } | FutureState::Done => Poll::Ready(None),
        }
    }

    /// Ends the map. Returns the result that stands for the items that were not read, if there are any.
    #[cold]
    fn end(&mut self) -> Option<K::Item> {
        match self.map.finish() {
            Ok(last) => last.into_iter().next(),
            Err(error) => Some(Err(error)),
        }
    }
}
