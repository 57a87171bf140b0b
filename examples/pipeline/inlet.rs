//! The receiving end of a channel, and whether its stage has started.
//!
//! A cancelled group never starts a task that has not started, and the contents of its channel are lost. So nothing is
//! read before every stage runs: each drops its [`Starting`] when it opens its inlet, and the source waits until all
//! are dropped.

use std::convert::Infallible;

use tokio::sync::mpsc::{self, Receiver, Sender};

/// The input of a stage.
pub(crate) struct Inlet<T> {
    from: Receiver<T>,
    starting: Starting,
}

impl<T> Inlet<T> {
    pub(crate) fn open(self) -> Receiver<T> {
        drop(self.starting);
        self.from
    }
}

/// Held by a stage that has not started.
pub(crate) type Starting = Sender<Infallible>;

/// Waits for the stages that hold a [`Starting`].
pub(crate) struct AllStarted(Receiver<Infallible>);

impl AllStarted {
    pub(crate) fn new() -> (Starting, Self) {
        let (starting, all_started) = mpsc::channel(1);
        (starting, Self(all_started))
    }

    /// Returns when every stage has started, or has ended without starting.
    pub(crate) async fn wait(mut self) {
        _ = self.0.recv().await;
    }
}

/// A channel between two stages.
pub(crate) fn channel<T>(capacity: usize, starting: &Starting) -> (Sender<T>, Inlet<T>) {
    let (to, from) = mpsc::channel(capacity);
    (to, Inlet { from, starting: starting.clone() })
}
