//! Failures on demand, to show how the other components react.

use std::sync::Arc;

use tokio::sync::Notify;

/// The injected fault of one component. Clones are the same fault.
#[derive(Clone)]
pub(crate) struct Fault {
    component: &'static str,
    injected: Arc<Notify>,
}

impl Fault {
    pub(crate) fn of(component: &'static str) -> Self {
        Self { component, injected: Arc::default() }
    }

    pub(crate) fn component(&self) -> &'static str {
        self.component
    }

    pub(crate) fn strike(&self) {
        self.injected.notify_one();
    }

    /// Waits for it.
    pub(crate) async fn strikes(&self) -> anyhow::Error {
        self.injected.notified().await;
        anyhow::anyhow!("the {} failed on request", self.component)
    }
}
