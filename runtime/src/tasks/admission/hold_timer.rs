//! How long a spawn holds a slot while it waits for a permit, or the other way round, and how long it rests then.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::function::limit::pair::HOLD;
use crate::tasks::timer::Timer;

/// Each hold may last twice as long as the one before it, and is followed by a rest of the same length.
pub(crate) struct HoldTimer {
    longest: Duration,
    timer: Option<Timer>,
    resting: bool,
}

impl HoldTimer {
    pub(crate) fn new() -> Self {
        Self { longest: HOLD, timer: None, resting: false }
    }

    /// Ready once the hold is over; a rest starts then.
    pub(crate) fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.is_none() {
            self.timer = Timer::start(self.longest);
        }
        if let Some(timer) = &mut self.timer {
            ready!(timer.poll(cx));
        }
        self.resting = true;
        // Without a timer it rests for ever: it holds nothing again.
        if self.timer.is_some() {
            self.timer = Timer::start(self.longest);
            self.longest = self.longest.saturating_mul(2);
        }
        Poll::Ready(())
    }

    /// Ready once, when the rest is over.
    pub(crate) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (true, Some(timer)) = (self.resting, &mut self.timer) else { return Poll::Pending };
        ready!(timer.poll(cx));
        self.timer = None;
        self.resting = false;
        Poll::Ready(())
    }
}
