//! The results of a map: those of its items, and what the map returns.

use std::collections::VecDeque;

use crate::{
    panic::{Caught, drop_each_quietly, drop_quietly},
    run::future::{SupervisedFuture, TaskCompletion},
    tasks::failure::Failure,
    tasks::reorder_buffer::{Index, Queue, ReorderBuffer},
};

/// How the results of the items are collected.
pub(crate) trait CollectMode<S: SupervisedFuture> {
    /// The result of one item.
    type Item: Send + 'static;
    /// Where the results wait.
    type Buffer: ResultBuffer<Item = Self::Item> + Send;
    /// Whether a failure stops the rest. Then the first one is returned, and the others are logged.
    const STOPS: bool;
    /// Whether the results are returned one by one. Then they have a bound, and reading pauses at it.
    const STREAMS: bool;
    /// Returns what to store, or the failure that stops the rest.
    fn collect(result: Result<S::Value, S::Error>) -> Result<Self::Item, S::Error>;
}

/// The first failure stops the rest.
pub(crate) struct FailFast;

/// Every item has its own result.
pub(crate) struct Settle;

/// Every item has its own result, which is returned when those before it have been.
pub(crate) struct InOrder;

/// Every item has its own result, which is returned when the item has finished.
pub(crate) struct AsCompleted;

impl<S: SupervisedFuture<Value: Send + 'static>> CollectMode<S> for FailFast {
    type Item = S::Value;
    type Buffer = ReorderBuffer<Self::Item>;
    const STOPS: bool = true;
    const STREAMS: bool = false;

    fn collect(result: Result<S::Value, S::Error>) -> Result<S::Value, S::Error> {
        result
    }
}

/// Defines the modes in which every item has its own result.
macro_rules! result_for_each_item {
    ($($mode:ident: $buffer:ty, streams: $streams:literal;)*) => {$(
        impl<S> CollectMode<S> for $mode
        where
            S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>,
        {
            type Item = Result<S::Value, S::Error>;
            type Buffer = $buffer;
            const STOPS: bool = false;
            const STREAMS: bool = $streams;

            fn collect(result: Result<S::Value, S::Error>) -> Result<Self::Item, S::Error> {
                Ok(result)
            }
        }
    )*};
}

result_for_each_item! {
    Settle: ReorderBuffer<Self::Item>, streams: false;
    InOrder: OrderedQueue<Self::Item>, streams: true;
    AsCompleted: UnorderedQueue<Self::Item>, streams: true;
}

/// Where the results of items wait.
pub(crate) trait ResultBuffer: Default {
    type Item;

    /// The number of items whose run was made.
    fn reserved(&self) -> usize;

    /// A run was made: reserves the place of its result.
    fn reserve(&mut self) -> Index;

    /// Stores the result of a place. Called at most once for each place.
    fn put(&mut self, index: Index, result: Self::Item);

    /// Takes all results, to be returned or dropped.
    fn take(&mut self) -> Vec<Self::Item>;

    /// The number of results that wait for the consumer of a stream.
    fn waiting(&self) -> usize {
        0
    }

    /// Whether [`pop`](StreamBuffer::pop) returns a result.
    fn has_next(&self) -> bool {
        false
    }
}

/// Where results wait that are returned one by one.
pub(crate) trait StreamBuffer: ResultBuffer {
    /// Takes the next result. Once the map has ended, places without a result are skipped.
    fn pop(&mut self, ended: bool) -> Option<Self::Item>;
}

impl<T> ResultBuffer for ReorderBuffer<T> {
    type Item = T;

    #[inline]
    fn reserved(&self) -> usize {
        self.reserved()
    }

    #[inline]
    fn reserve(&mut self) -> Index {
        self.reserve()
    }

    #[inline]
    fn put(&mut self, index: Index, result: T) {
        self.put(index, result);
    }

    fn take(&mut self) -> Vec<T> {
        self.take()
    }
}

/// The results of [`InOrder`].
pub(crate) struct OrderedQueue<T> {
    buffer: ReorderBuffer<T, Queue<T>>,
    /// The number of results, also of those behind a place without one.
    waiting: usize,
}

impl<T> Default for OrderedQueue<T> {
    fn default() -> Self {
        Self { buffer: ReorderBuffer::default(), waiting: 0 }
    }
}

impl<T> ResultBuffer for OrderedQueue<T> {
    type Item = T;

    fn reserved(&self) -> usize {
        self.buffer.reserved()
    }

    fn reserve(&mut self) -> Index {
        self.buffer.reserve()
    }

    #[inline]
    fn put(&mut self, index: Index, result: T) {
        self.buffer.put(index, result);
        self.waiting += 1;
    }

    fn take(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.pop(true)).collect()
    }

    fn waiting(&self) -> usize {
        self.waiting
    }

    fn has_next(&self) -> bool {
        self.buffer.has_next()
    }
}

impl<T> StreamBuffer for OrderedQueue<T> {
    fn pop(&mut self, ended: bool) -> Option<T> {
        let next = self.buffer.pop(ended)?;
        self.waiting -= 1;
        Some(next)
    }
}

/// The results of [`AsCompleted`].
pub(crate) struct UnorderedQueue<T> {
    reserved: usize,
    results: VecDeque<T>,
}

impl<T> Default for UnorderedQueue<T> {
    fn default() -> Self {
        Self { reserved: 0, results: VecDeque::new() }
    }
}

impl<T> ResultBuffer for UnorderedQueue<T> {
    type Item = T;

    fn reserved(&self) -> usize {
        self.reserved
    }

    fn reserve(&mut self) -> Index {
        self.reserved += 1;
        Index::new(self.reserved - 1)
    }

    #[inline]
    fn put(&mut self, _: Index, result: T) {
        self.results.push_back(result);
    }

    fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.results).into()
    }

    fn waiting(&self) -> usize {
        self.results.len()
    }

    fn has_next(&self) -> bool {
        !self.results.is_empty()
    }
}

impl<T> StreamBuffer for UnorderedQueue<T> {
    fn pop(&mut self, _: bool) -> Option<T> {
        self.results.pop_front()
    }
}

/// A run that a worker has driven to its end.
pub(crate) struct FinishedItem<S: SupervisedFuture> {
    pub(crate) task: &'static str,
    pub(crate) index: Index,
    pub(crate) ended: TaskCompletion<S::Value, S::Error>,
}

/// The results of a map: returned, or dropped with it.
///
/// It drops its parts one by one: two panics at once would abort the process. So it must not be dropped under a lock.
pub(crate) struct MapResults<B: ResultBuffer, E> {
    /// A place for each item whose run was made.
    pub(crate) values: B,
    pub(crate) failure: Option<Failure<E>>,
    /// A panic of an error's conversion: there is no error to report it with, and the map panics.
    pub(crate) conversion_panic: Option<Caught>,
}

impl<B: ResultBuffer, E> MapResults<B, E> {
    /// Returns what the map returns. `cancelled` makes a last result if the map was cut short: an item, a failure, or
    /// the panic of its conversion.
    pub(crate) fn into_result(
        mut self,
        cancelled: impl FnOnce() -> Option<Result<Result<B::Item, E>, Caught>>,
    ) -> Result<Vec<B::Item>, E> {
        if let Some(failure) = self.failure.take() {
            return Err(failure.error);
        }
        let last = match self.conversion_panic.take() {
            Some(caught) => Some(Err(caught)),
            None => cancelled(),
        };
        match last {
            Some(Err(caught)) => {
                drop(self);
                caught.resume()
            }
            Some(Ok(last)) => {
                let last = last?;
                let mut values = self.values.take();
                values.push(last);
                Ok(values)
            }
            None => Ok(self.values.take()),
        }
    }
}

impl<B: ResultBuffer, E> Default for MapResults<B, E> {
    fn default() -> Self {
        Self { values: B::default(), failure: None, conversion_panic: None }
    }
}

impl<B: ResultBuffer, E> Drop for MapResults<B, E> {
    fn drop(&mut self) {
        drop_each_quietly(self.values.take());
        drop_quietly(self.failure.take());
        drop_quietly(self.conversion_panic.take());
    }
}
