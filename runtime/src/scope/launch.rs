//! Where a task runs.

use tokio::task::AbortHandle;

use super::task::{Report, Task};
use crate::run::SupervisedFuture;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::OnWorkers {}
}

/// Where a spawn puts its task. The trait is sealed.
pub trait Launch<S: SupervisedFuture>: sealed::Sealed {
    /// Whether the task has a thread of its own, for as long as it runs.
    #[doc(hidden)]
    const ON_BLOCKING_THREAD: bool = false;

    #[doc(hidden)]
    fn launch<R: Report<S> + Send + 'static>(task: Task<S, R>) -> AbortHandle;
}

/// On the workers of the runtime: what `spawn` does.
#[derive(Debug)]
pub struct OnWorkers;

impl<S> Launch<S> for OnWorkers
where
    S: SupervisedFuture + Send + 'static,
{
    fn launch<R: Report<S> + Send + 'static>(task: Task<S, R>) -> AbortHandle {
        tokio::spawn(task).abort_handle()
    }
}
