//! What a map keeps of its items' ends.

use crate::run::SupervisedFuture;

/// What is kept of an item's end.
pub(super) trait Keep<S: SupervisedFuture> {
    /// A place in the results.
    type Kept: Send + 'static;
    /// Whether a failure stops the rest. Then only the first one is returned, and the others are logged.
    const STOPS: bool;
    /// What goes there, or the failure that stops the rest.
    fn keep(result: Result<S::Value, S::Error>) -> Result<Self::Kept, S::Error>;
}

/// The first failure stops the rest.
pub(super) struct Together;

/// Every item has its own end.
pub(super) struct Apart;

impl<S: SupervisedFuture<Value: Send + 'static>> Keep<S> for Together {
    type Kept = S::Value;
    const STOPS: bool = true;

    fn keep(result: Result<S::Value, S::Error>) -> Result<S::Value, S::Error> {
        result
    }
}

impl<S> Keep<S> for Apart
where
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>,
{
    type Kept = Result<S::Value, S::Error>;
    const STOPS: bool = false;

    fn keep(result: Result<S::Value, S::Error>) -> Result<Self::Kept, S::Error> {
        Ok(result)
    }
}
