//! A gate at which tasks wait until all have arrived, and then until they are released.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::bytes::Watch;

pub(super) const TASKS: u32 = 10_000;

pub(super) struct Gate {
    arrived: Semaphore,
    open: Semaphore,
}

impl Gate {
    pub(super) fn shut() -> Arc<Self> {
        Arc::new(Self { arrived: Semaphore::new(0), open: Semaphore::new(0) })
    }

    /// A waiter is a part of its future: it allocates nothing.
    pub(super) async fn wait(&self) {
        self.arrived.add_permits(1);
        _ = self.open.acquire().await;
    }

    /// The bytes of each task, when all wait; then they are let go.
    pub(super) async fn bytes_of_each(&self, watch: Watch) -> f64 {
        self.arrived.acquire_many(TASKS).await.expect("it is never closed").forget();
        let bytes = watch.live() / f64::from(TASKS);
        drop(watch);
        self.open.close();
        bytes
    }
}
