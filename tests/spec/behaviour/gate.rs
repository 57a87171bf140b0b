//! A task that reports when it has started and ends on request.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use testkit::in_time;

/// The half that is passed to the tasks.
#[derive(Clone)]
pub(crate) struct Gate {
    begun: mpsc::UnboundedSender<()>,
    end: Arc<Semaphore>,
}

/// The half that the test keeps.
pub(crate) struct Gatekeeper {
    begun: mpsc::UnboundedReceiver<()>,
    end: Arc<Semaphore>,
}

pub(crate) fn gate() -> (Gate, Gatekeeper) {
    let (begun, has_begun) = mpsc::unbounded_channel();
    let end = Arc::new(Semaphore::new(0));
    (Gate { begun, end: end.clone() }, Gatekeeper { begun: has_begun, end })
}

impl Gate {
    pub(crate) async fn pass(self) {
        self.begun.send(()).unwrap();
        self.end.acquire().await.unwrap().forget();
    }
}

impl Gatekeeper {
    /// Waits until `count` more tasks have started.
    pub(crate) async fn begun(&mut self, count: usize) {
        for _ in 0..count {
            in_time(self.begun.recv()).await.unwrap();
        }
    }

    pub(crate) fn nobody_has_begun(&mut self) -> bool {
        self.begun.try_recv().is_err()
    }

    /// Lets `count` tasks end.
    pub(crate) fn open(&self, count: usize) {
        self.end.add_permits(count);
    }
}
