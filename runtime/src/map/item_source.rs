//! The source of a map: an iterator or a stream, and the closure that makes a run of an item.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use tokio_util::sync::CancellationToken;

use crate::{
    panic,
    panic::{Caught, drop_quietly},
    token::call_closure,
};

mod sealed {
    pub trait Sealed {}
    impl<I: Iterator> Sealed for I {}
    impl<S: futures_core::Stream> Sealed for super::FromStream<S> {}
}

/// The input of a [`Map`](crate::Map): an iterator, or a stream by [`map_stream`](crate::map_stream).
///
/// The trait is sealed.
pub trait MapInput: sealed::Sealed {
    /// The type of the items.
    type Item;

    /// Whether the next item may have to be waited for.
    #[doc(hidden)]
    const MAY_PEND: bool;

    #[doc(hidden)]
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::Item>>;

    /// The maximum number of remaining items, if it is known.
    #[doc(hidden)]
    fn at_most(&self) -> Option<usize>;
}

#[diagnostic::do_not_recommend]
impl<I: Iterator> MapInput for I {
    type Item = I::Item;

    const MAY_PEND: bool = false;

    #[inline]
    fn poll_item(&mut self, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.next())
    }

    #[inline]
    fn at_most(&self) -> Option<usize> {
        self.size_hint().1
    }
}

/// The stream of a [`map_stream`](crate::map_stream).
// Boxed: the source of a map is moved between its workers.
pub struct FromStream<S>(Pin<Box<S>>);

impl<S> FromStream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(Box::pin(stream))
    }
}

impl<S: Stream> MapInput for FromStream<S> {
    type Item = S::Item;

    const MAY_PEND: bool = true;

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.0.as_mut().poll_next(cx)
    }

    fn at_most(&self) -> Option<usize> {
        self.0.size_hint().1
    }
}

impl<S> fmt::Debug for FromStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromStream").finish_non_exhaustive()
    }
}

pub(crate) struct ItemSource<I, F> {
    pub(crate) items: I,
    pub(crate) f: F,
}

pub(crate) fn drop_source<I, F>(source: Option<Box<ItemSource<I, F>>>) {
    if let Some(source) = source {
        let ItemSource { items, f } = *source;
        drop_quietly(items);
        drop_quietly(f);
    }
}

pub(crate) enum NextItem {
    /// A run was made.
    Made,
    Exhausted,
    /// An item was read after the map stopped.
    Unwanted,
    /// The stream is pending, and wakes the task that polled it.
    Pending,
    Panicked {
        caught: Caught,
        in_iterator: bool,
    },
}

impl<I: MapInput, F> ItemSource<I, F> {
    /// Whether the input may have another item; one that panics is assumed to.
    pub(crate) fn may_have_more(&self) -> bool {
        panic::catch(|| self.items.at_most() != Some(0)).unwrap_or(true)
    }

    /// Reads the next item, and creates its run if that is still wanted. Passes the run to `put`.
    #[inline]
    pub(crate) fn poll_next<S>(
        &mut self,
        cx: &mut Context<'_>,
        token: impl FnOnce() -> CancellationToken,
        is_wanted: impl FnOnce() -> bool,
        put: impl FnOnce(S),
    ) -> NextItem
    where
        F: FnMut(CancellationToken, I::Item) -> S,
    {
        let mut in_iterator = true;
        let next = call_closure(|| {
            let Some(item) = ready!(self.items.poll_item(cx)) else {
                return Poll::Ready(NextItem::Exhausted);
            };
            in_iterator = false;
            if !is_wanted() {
                return Poll::Ready(NextItem::Unwanted);
            }
            put((self.f)(token(), item));
            Poll::Ready(NextItem::Made)
        });
        match next {
            Ok(Poll::Ready(next)) => next,
            Ok(Poll::Pending) => NextItem::Pending,
            Err(caught) => NextItem::Panicked { caught, in_iterator },
        }
    }
}
