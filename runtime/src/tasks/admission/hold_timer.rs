//! Limits how long a spawn holds a slot while it waits for a permit, or the reverse, and the pause that follows.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::function::limit::pair::HOLD;
use crate::tasks::timer::Timer;

/// Each hold may last twice as long as the previous one. A pause of the same length follows, without a hold.
pub(crate) struct HoldTimer {
    longest: Duration,
    timer: Option<Timer>,
    pausing: bool,
}

impl HoldTimer {
    pub(crate) fn new() -> Self {
        Self { longest: HOLD, timer: None, pausing: false }
    }

    /// Returns `Ready` once the hold is over, and starts the pause.
    pub(crate) fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.is_none() {
            self.timer = Timer::start(self.longest);
        }
        if let Some(timer) = &mut self.timer {
            ready!(timer.poll(cx));
        }
        self.pausing = true;
        // Without a timer the pause never ends: the spawn holds neither of the two again.
        if self.timer.is_some() {
            self.timer = Timer::start(self.longest);
            self.longest = self.longest.saturating_mul(2);
        }
        Poll::Ready(())
    }

    /// Returns `Ready` once, when the pause is over.
    pub(crate) fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (true, Some(timer)) = (self.pausing, &mut self.timer) else { return Poll::Pending };
        ready!(timer.poll(cx));
        self.timer = None;
        self.pausing = false;
        Poll::Ready(())
    }
}
