//! How long a spawn holds a slot while it waits for a permit, or the other way round, and how long it rests then.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    task::coop::unconstrained,
    time::{Sleep, sleep},
};

use crate::{limit::HOLD, panic};

/// Each hold may last twice as long as the one before it, and is followed by a rest of its own length.
pub(super) struct Patience {
    longest: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    rests: bool,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { longest: HOLD, timer: None, rests: false }
    }

    /// Ready once the hold is over; a rest begins then.
    pub(super) fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.is_none() {
            self.arm();
        }
        if let Some(timer) = &mut self.timer {
            ready!(pin!(unconstrained(timer.as_mut())).poll(cx));
        }
        self.rests = true;
        // Without a timer it rests for ever: it holds nothing again.
        if self.timer.take().is_some() {
            self.arm();
            self.longest = self.longest.saturating_mul(2);
        }
        Poll::Ready(())
    }

    /// Ready once, when the rest is over.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (true, Some(timer)) = (self.rests, &mut self.timer) else { return Poll::Pending };
        ready!(pin!(unconstrained(timer.as_mut())).poll(cx));
        self.timer = None;
        self.rests = false;
        Poll::Ready(())
    }

    /// Nothing in a runtime without timers, where tokio panics.
    fn arm(&mut self) {
        self.timer = panic::catch(|| Box::pin(sleep(self.longest))).ok();
    }
}
