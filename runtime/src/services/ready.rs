//! How a service says that it is ready.

use std::{fmt, sync::Arc};

use crate::context::service::ServiceNode;

/// Says that a service is ready: see [`Services::service_with_ready`](crate::Services::service_with_ready).
///
/// All clones are of the same service.
#[derive(Clone)]
pub struct Ready(Arc<ServiceNode>);

impl Ready {
    pub(crate) fn new(service: Arc<ServiceNode>) -> Self {
        Self(service)
    }

    /// Says that the service is ready: the next one starts. Any further call does nothing.
    ///
    /// A function that restarts is not ready again until its next run has called it.
    pub fn set(&self) {
        self.0.set_ready();
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("service", &self.0.path())
            .field("set", &self.0.is_ready())
            .finish()
    }
}
