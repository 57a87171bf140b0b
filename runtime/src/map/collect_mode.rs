//! What a map keeps of its items' ends.

use crate::run::future::SupervisedFuture;

/// What is kept of an item's end.
pub(crate) trait CollectMode<S: SupervisedFuture> {
    /// A place in the results.
    type Item: Send + 'static;
    /// Whether a failure stops the rest. Then only the first one is returned, and the others are logged.
    const STOPS: bool;
    /// What goes there, or the failure that stops the rest.
    fn collect(result: Result<S::Value, S::Error>) -> Result<Self::Item, S::Error>;
}

/// The first failure stops the rest.
pub(crate) struct FailFast;

/// Every item has its own end.
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
