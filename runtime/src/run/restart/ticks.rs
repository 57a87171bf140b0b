//! When a periodic call starts its next run.
//!
//! Invariants, checked by the tests below
//!
//! 1. Every tick is a multiple of the interval after the first poll, however late a run started or ended. Otherwise the
//!    runs drift.
//! 2. The next tick is later than the end of the last run: a tick that falls into a run is skipped.

use std::time::Duration;

use tokio::time::Instant;

/// The ticks of one call.
pub struct Ticks<R> {
    interval: Duration,
    /// The first poll of the call.
    origin: Option<Instant>,
    /// Makes the value of a call that was cancelled between two runs.
    done: fn() -> R,
}

impl<R> Ticks<R> {
    pub(crate) fn new(interval: Duration, done: fn() -> R) -> Self {
        Self { interval, origin: None, done }
    }

    /// Starts to count at the first poll.
    pub(crate) fn start(&mut self) {
        if self.origin.is_none() {
            self.origin = Some(Instant::now());
        }
    }

    /// Returns the time from `now` to the next tick.
    pub(crate) fn next_after(&self, now: Instant) -> Duration {
        let elapsed = self.origin.map_or(Duration::ZERO, |origin| now.duration_since(origin));
        let past_tick = elapsed.as_nanos() % self.interval.as_nanos();
        self.interval.saturating_sub(nanos(past_tick))
    }

    /// Returns the value of a call that was cancelled between two runs.
    pub(crate) fn done(&self) -> R {
        (self.done)()
    }
}

/// The part of an interval in nanoseconds, which is never more than a `Duration` holds.
fn nanos(nanos: u128) -> Duration {
    const PER_SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos / PER_SECOND).unwrap_or(u64::MAX);
    let rest = u32::try_from(nanos % PER_SECOND).unwrap_or_default();
    Duration::new(seconds, rest)
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ticks(interval: Duration, origin: Instant) -> Ticks<()> {
        Ticks { interval, origin: Some(origin), done: || () }
    }

    #[test]
    fn ticks_are_multiples_of_the_interval() {
        let origin = Instant::now();
        let ticks = ticks(10 * SECOND, origin);
        for (elapsed, wait) in [(0, 10), (1, 9), (9, 1), (10, 10), (25, 5), (1_000_003, 7)] {
            let next = ticks.next_after(origin + elapsed * SECOND);
            assert_eq!(next, wait * SECOND, "{elapsed} s after the first poll");
        }
    }

    #[test]
    fn the_longest_interval_does_not_overflow() {
        let origin = Instant::now();
        let wait = ticks(Duration::MAX, origin).next_after(origin + SECOND);
        assert_eq!(wait, Duration::MAX - SECOND);
    }
}
