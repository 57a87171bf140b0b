//! The policy of the `restart` arguments.

use std::time::Duration;

use crate::outcome::Outcome;

/// When a call starts another run, how long it waits before that, and how many runs it may start.
#[derive(Clone, Copy)]
pub struct Restart {
    after_any_end: bool,
    lowest: Duration,
    highest: Duration,
    most: u32,
    window: Duration,
}

impl Restart {
    /// `restart = "on-failure"`.
    pub const ON_FAILURE: Self = Self {
        after_any_end: false,
        lowest: Duration::from_millis(100),
        highest: Duration::from_secs(30),
        most: 5,
        window: Duration::from_secs(60),
    };

    /// `restart = "always"`.
    pub const ALWAYS: Self = Self { after_any_end: true, ..Self::ON_FAILURE };

    /// `backoff = "100ms..30s"`.
    #[must_use]
    pub const fn backoff(mut self, bounds: std::ops::Range<Duration>) -> Self {
        self.lowest = bounds.start;
        self.highest = bounds.end;
        self
    }

    /// `max_restarts = "5/1m"`.
    #[must_use]
    pub const fn max_restarts(mut self, most: u32, window: Duration) -> Self {
        self.most = most;
        self.window = window;
        self
    }

    /// Whether another run follows this outcome, if the run's own token has not fired.
    pub(crate) fn follows(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Error | Outcome::Panicked | Outcome::TimedOut => true,
            Outcome::Cancelled => false,
            Outcome::Ok | Outcome::Rejected | Outcome::Dropped => self.after_any_end,
        }
    }

    pub(crate) fn lowest(&self) -> Duration {
        self.lowest
    }

    pub(crate) fn highest(&self) -> Duration {
        self.highest
    }

    pub(crate) fn most(&self) -> u32 {
        self.most
    }

    pub(crate) fn window(&self) -> Duration {
        self.window
    }
}
