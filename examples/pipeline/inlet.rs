//! The receiving end of a channel, and whether its stage has begun.
//!
//! A group that is cancelled never starts a task that has not begun, and what is in its channel is lost with
//! it. So nothing is read before every stage is at work: each drops its [`Starting`] when it opens its inlet,
//! and the source waits until all are dropped.

use std::convert::Infallible;

use tokio::sync::mpsc::{self, Receiver, Sender};

/// What a stage receives from.
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

/// Held by a stage that has not begun.
pub(crate) type Starting = Sender<Infallible>;

/// Waits for the stages that hold a [`Starting`].
pub(crate) struct AllStarted(Receiver<Infallible>);

impl AllStarted {
    pub(crate) fn new() -> (Starting, Self) {
        let (starting, all_started) = mpsc::channel(1);
        (starting, Self(all_started))
    }

    /// Returns when every stage has begun, or has ended without it.
    pub(crate) async fn wait(mut self) {
        _ = self.0.recv().await;
    }
}

/// A channel between two stages.
pub(crate) fn channel<T>(capacity: usize, starting: &Starting) -> (Sender<T>, Inlet<T>) {
    let (to, from) = mpsc::channel(capacity);
    (to, Inlet { from, starting: starting.clone() })
}
