//! One message of a key at a time.
//!
//! Invariants
//!
//! 1. The messages of a key run in the order in which they were pulled: each waits for the one before it. Turns are
//!    handed out by the loop, before the tasks exist. (`messages_of_a_key_run_one_at_a_time_in_order`)
//! 2. A turn ends when it is dropped, however its task ended: the next message never waits for ever.
//!    (`a_panic_passes_the_turn_of_its_key_on`)
//! 3. If a message returns to the queue, so do those of its key that wait for it, also those that are pulled later: none
//!    runs before it. (`a_message_that_returns_takes_those_behind_it_along`, `a_returned_key_is_not_forgotten`)
//! 4. The map has at most twice as many keys as there are slots, and those of returned messages. These exist only after
//!    the token has fired, when the worker requests no more messages. (`ended_keys_are_forgotten`)

use std::collections::HashMap;

use tokio::sync::oneshot::{self, Receiver, Sender, error::TryRecvError};

/// The last turn of each key that is in work. Owned by the loop: there is no lock.
pub(crate) struct Turns {
    tails: HashMap<Vec<u8>, Receiver<()>>,
    most: usize,
}

/// The turn of one message.
pub(crate) struct Turn {
    before: Option<Receiver<()>>,
    /// Dropped, it passes the turn on. A value says that the message has returned to the queue.
    next: Option<Sender<()>>,
}

impl Turns {
    pub(crate) fn new(slots: usize) -> Self {
        Self { tails: HashMap::new(), most: slots.saturating_mul(2) }
    }

    /// The next turn of a key.
    pub(crate) fn next(&mut self, key: &[u8]) -> Turn {
        if self.tails.len() >= self.most {
            // At most one for each slot is left, and those of returned messages.
            self.tails.retain(|_, tail| match tail.try_recv() {
                Ok(()) => {
                    // The value was taken out, and the next message of the key needs it.
                    let (sender, returned) = oneshot::channel();
                    *tail = returned;
                    sender.send(()).is_ok()
                }
                Err(TryRecvError::Empty) => true,
                Err(TryRecvError::Closed) => false,
            });
        }
        let (next, tail) = oneshot::channel();
        let before = self.tails.insert(key.to_vec(), tail);
        Turn { before, next: Some(next) }
    }
}

impl Turn {
    /// Waits for the end of the message before it. Returns whether that was settled, instead of returned to the queue.
    ///
    /// Cancel safe: a second call continues.
    pub(crate) async fn wait(&mut self) -> bool {
        let Some(before) = &mut self.before else { return true };
        let is_returned = before.await.is_ok();
        self.before = None;
        !is_returned
    }

    /// The message returns to the queue.
    pub(crate) fn return_to_queue(&mut self) {
        if let Some(next) = self.next.take() {
            // Fails if no message of the key waits.
            _ = next.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_keys_are_forgotten() {
        let mut turns = Turns::new(2);
        let kept = turns.next(b"kept");
        for key in 0..1_000_u32 {
            drop(turns.next(&key.to_le_bytes()));
            assert!(turns.tails.len() <= 4, "{}", turns.tails.len());
        }
        assert!(turns.tails.contains_key(&b"kept"[..]));
        assert!(turns.next(b"kept").before.is_some());
        drop(kept);
    }

    #[tokio::test]
    async fn a_returned_key_is_not_forgotten() {
        let mut turns = Turns::new(2);
        turns.next(b"returned").return_to_queue();
        for key in 0..10_u32 {
            drop(turns.next(&key.to_le_bytes()));
        }
        assert!(!turns.next(b"returned").wait().await);
    }
}
