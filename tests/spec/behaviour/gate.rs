//! A task that reports when it has started and ends on request.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use testkit::in_time;

/// The half that is passed to the tasks.
#[derive(Clone)]
pub(crate) struct Gate {
    started: mpsc::UnboundedSender<()>,
    end: Arc<Semaphore>,
}

/// The half that the test keeps.
pub(crate) struct Gatekeeper {
    started: mpsc::UnboundedReceiver<()>,
    end: Arc<Semaphore>,
}

pub(crate) fn gate() -> (Gate, Gatekeeper) {
    let (started, has_started) = mpsc::unbounded_channel();
    let end = Arc::new(Semaphore::new(0));
    (Gate { started, end: end.clone() }, Gatekeeper { started: has_started, end })
}

impl Gate {
    pub(crate) async fn pass(self) {
        self.started.send(()).unwrap();
        self.end.acquire().await.unwrap().forget();
    }
}

impl Gatekeeper {
    /// Waits until `count` more tasks have started.
    pub(crate) async fn started(&mut self, count: usize) {
        for _ in 0..count {
            in_time(self.started.recv()).await.unwrap();
        }
    }

    pub(crate) fn none_has_started(&mut self) -> bool {
        self.started.try_recv().is_err()
    }

    /// Lets `count` tasks end.
    pub(crate) fn open(&self, count: usize) {
        self.end.add_permits(count);
    }
}
