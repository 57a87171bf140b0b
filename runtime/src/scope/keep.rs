//! What a map keeps of its items' ends.

use crate::run::SupervisedFuture;

/// What is kept of an item's end.
pub(super) trait Keep<S: SupervisedFuture> {
    /// A place in the results.
    type Kept: Send + 'static;
    /// What goes there, or the failure that stops the rest.
    fn keep(result: Result<S::Value, S::Error>) -> Result<Self::Kept, S::Error>;
}

/// The first failure stops the rest.
pub(super) struct Together;

/// Every item has its own end.
pub(super) struct Apart;

impl<S: SupervisedFuture<Value: Send + 'static>> Keep<S> for Together {
    type Kept = S::Value;

    fn keep(result: Result<S::Value, S::Error>) -> Result<S::Value, S::Error> {
        result
    }
}

impl<S> Keep<S> for Apart
where
    S: SupervisedFuture<Value: Send + 'static, Error: Send + 'static>,
{
    type Kept = Result<S::Value, S::Error>;

    fn keep(result: Result<S::Value, S::Error>) -> Result<Self::Kept, S::Error> {
        Ok(result)
    }
}
