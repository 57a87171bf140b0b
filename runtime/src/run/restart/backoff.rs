//! Whether a call starts another run, and how long it waits before it.
//!
//! Invariants
//!
//! 1. A wait is always within the bounds of `backoff`.
//! 2. No more restarts than `max_restarts` allows are decided within its window; the moment that counts is
//!    the end of the failed run.
//! 3. No more moments are kept than `max_restarts` allows.
//!
//! The tests below check 1 and 3, `tests/spec/behaviour/restart_backoff.rs` 1 and 2 from the outside.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::function::restart::Restart;

/// The restarts of one call.
#[derive(Default)]
pub(crate) struct Restarts {
    /// Since the last stable run.
    consecutive: u32,
    /// When the restarts within the window were decided, oldest first.
    recent: VecDeque<Instant>,
    total: u64,
}

impl Restarts {
    /// Returns the wait after a run that lasted that long, if another may follow.
    pub(crate) fn after(
        &mut self,
        lasted: Duration,
        now: Instant,
        restart: &Restart,
    ) -> Option<Duration> {
        let is_old = |moment: &Instant| now.duration_since(*moment) >= restart.window();
        while self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
        if self.recent.len() as u64 >= u64::from(restart.most()) {
            return None;
        }
        self.recent.push_back(now);
        self.total += 1;
        // Only a run that outlives the longest wait counts as recovered.
        if lasted > restart.highest() {
            self.consecutive = 0;
        }
        let wait = wait(self.consecutive, restart, fastrand::u64);
        self.consecutive = self.consecutive.saturating_add(1);
        Some(wait)
    }

    /// Makes the next wait a first one again, after a run of a periodic call that succeeded.
    pub(crate) fn recovered(&mut self) {
        self.consecutive = 0;
    }

    /// How many restarts there were, with the last one decided.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

/// Half of a bound that doubles, and a random share of the other half: calls that failed together do not restart
/// together.
fn wait(
    consecutive: u32,
    restart: &Restart,
    random: impl FnOnce(std::ops::RangeInclusive<u64>) -> u64,
) -> Duration {
    let (lowest, highest) = (restart.lowest(), restart.highest());
    let factor = 2_u32.saturating_pow(consecutive.saturating_add(1));
    let upper = lowest.saturating_mul(factor).min(highest);
    let lower = lowest.max(upper / 2);
    Duration::from_nanos(random(nanos(lower)..=nanos(upper)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bounds(consecutive: u32, restart: &Restart) -> (Duration, Duration) {
        let shortest = wait(consecutive, restart, |range| *range.start());
        let longest = wait(consecutive, restart, |range| *range.end());
        (shortest, longest)
    }

    #[test]
    fn waits_grow_from_the_lower_bound_to_the_upper() {
        let restart = Restart::ON_FAILURE.backoff(SECOND..10 * SECOND);
        let bounds: Vec<_> = (0..5).map(|consecutive| bounds(consecutive, &restart)).collect();
        let seconds = [(1, 2), (2, 4), (4, 8), (5, 10), (5, 10)];
        assert_eq!(bounds, seconds.map(|(low, high)| (low * SECOND, high * SECOND)));
    }

    #[test]
    fn equal_bounds_give_a_constant() {
        let restart = Restart::ON_FAILURE.backoff(SECOND..SECOND);
        for consecutive in [0, 1, 30, 31, 32, u32::MAX] {
            assert_eq!(bounds(consecutive, &restart), (SECOND, SECOND));
        }
    }

    #[test]
    fn bounds_beyond_the_clock_do_not_overflow() {
        let restart = Restart::ON_FAILURE.backoff(Duration::MAX..Duration::MAX);
        let longest = Duration::from_nanos(u64::MAX);
        assert_eq!(bounds(u32::MAX, &restart), (longest, longest));
    }

    #[test]
    fn no_more_moments_are_kept_than_restarts_are_allowed() {
        let restart = Restart::ON_FAILURE.max_restarts(3, SECOND);
        let started = Instant::now();
        let mut restarts = Restarts::default();
        for half_seconds in 0..1_000 {
            let now = started + half_seconds * SECOND / 2;
            assert!(restarts.after(Duration::ZERO, now, &restart).is_some());
            assert!(restarts.recent.len() <= 3);
        }
        assert_eq!(restarts.total(), 1_000);
    }

    #[test]
    fn a_run_that_outlives_the_upper_bound_resets_the_waits() {
        let restart = Restart::ON_FAILURE.backoff(SECOND..10 * SECOND).max_restarts(100, SECOND);
        let now = Instant::now();
        let mut restarts = Restarts::default();
        for (lasted, consecutive) in [(0, 1), (0, 2), (9, 3), (10, 4), (11, 1), (10, 2)] {
            restarts.after(lasted * SECOND, now, &restart).expect("it may restart");
            assert_eq!(restarts.consecutive, consecutive, "after a run of {lasted} s");
        }
    }

    #[test]
    fn a_full_window_has_room_when_its_oldest_expires() {
        let restart = Restart::ON_FAILURE.max_restarts(2, SECOND);
        let started = Instant::now();
        let mut restarts = Restarts::default();
        let mut may = |millis| {
            let now = started + Duration::from_millis(millis);
            restarts.after(Duration::ZERO, now, &restart).is_some()
        };
        assert!(may(0) && may(500));
        assert!(!may(999));
        assert!(may(1_000));
        assert!(!may(1_499));
    }
}
