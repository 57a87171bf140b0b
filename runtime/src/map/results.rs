//! The results of a map: those of its items, and what the map returns.

use crate::{
    panic::{Caught, drop_each_quietly, drop_quietly},
    run::future::{SupervisedFuture, TaskCompletion},
    tasks::failure::Failure,
    tasks::reorder_buffer::{Index, ReorderBuffer},
};

/// How the results of the items are collected.
pub(crate) trait CollectMode<S: SupervisedFuture> {
    /// The result of one item.
    type Item: Send + 'static;
    /// Whether a failure stops the rest. Then the first one is returned, and the others are logged.
    const STOPS: bool;
    /// Returns what to store, or the failure that stops the rest.
    fn collect(result: Result<S::Value, S::Error>) -> Result<Self::Item, S::Error>;
}

/// The first failure stops the rest.
pub(crate) struct FailFast;

/// Every item has its own result.
pub(crate) struct Settle;

impl<S: SupervisedFuture<Value: Send + 'static>> CollectMode<S> for FailFast {
    type Item = S::Value;
    const STOPS: bool = true;

    fn collect(result: Result<S::Value, S::Error>) -> Result<S::Value, S::Error> {
        result
    }
}

impl<S> CollectMode<S> for Settle
where
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>,
{
    type Item = Result<S::Value, S::Error>;
    const STOPS: bool = false;

    fn collect(result: Result<S::Value, S::Error>) -> Result<Self::Item, S::Error> {
        Ok(result)
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
pub(crate) struct MapResults<T, E> {
    /// A place for each item whose run was made.
    pub(crate) values: ReorderBuffer<T>,
    pub(crate) failure: Option<Failure<E>>,
    /// A panic of an error's conversion: there is no error to report it with, and the map panics.
    pub(crate) conversion_panic: Option<Caught>,
}

impl<T, E> MapResults<T, E> {
    /// Returns what the map returns. `cancelled` makes a last result if the map was cut short: an item, a failure, or
    /// the panic of its conversion.
    pub(crate) fn into_result(
        mut self,
        cancelled: impl FnOnce() -> Option<Result<Result<T, E>, Caught>>,
    ) -> Result<Vec<T>, E> {
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

impl<T, E> Default for MapResults<T, E> {
    fn default() -> Self {
        Self { values: ReorderBuffer::new(), failure: None, conversion_panic: None }
    }
}

impl<T, E> Drop for MapResults<T, E> {
    fn drop(&mut self) {
        drop_each_quietly(self.values.take());
        drop_quietly(self.failure.take());
        drop_quietly(self.conversion_panic.take());
    }
}
