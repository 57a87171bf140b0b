//! The options of a pool, which its builders set before the pool is used.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::registry::pools::PoolName;

/// How long before the end of a drain its tasks are cancelled, unless [`Options::stopping`] says otherwise.
const STOPPING: Duration = Duration::from_secs(5);

#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) name: Option<Arc<PoolName>>,
    /// The token that stops the tasks and closes the pool.
    pub(crate) stop: Option<CancellationToken>,
    pub(crate) stopping: Option<Duration>,
}

impl Options {
    /// Returns a token that `stop` fires, if there is one, and that can be fired alone.
    pub(crate) fn token(&self) -> CancellationToken {
        self.stop.as_ref().map_or_else(CancellationToken::new, CancellationToken::child_token)
    }

    /// Returns how long before the end of a drain with that grace its tasks are cancelled. By default half of a grace
    /// below 10 s.
    pub(crate) fn stopping(&self, grace: Duration) -> Duration {
        self.stopping.unwrap_or_else(|| STOPPING.min(grace / 2)).min(grace)
    }

    pub(crate) fn name(&self) -> Option<&'static str> {
        self.name.as_ref().map(|name| name.as_str())
    }
}
