//! When to check for leaks: at once, then again after longer and longer pauses.
//!
//! The thread sleeps; no timer is used, which would let paused time advance.

use std::{
    thread,
    time::{Duration, Instant},
};

/// The number of pauses after the first check. They add up to 0.43 s.
const PAUSES: u32 = 20;

/// The first pause; each is twice as long as the one before it.
const SHORTEST: Duration = Duration::from_micros(1);

const LONGEST: Duration = Duration::from_millis(100);

/// How many threads pause together, at most.
const MOST_THREADS: usize = 32;

/// How late a pause may end on a machine with a free processor.
const LATE: Duration = Duration::from_millis(5);

/// How long the checks take at most, on a machine without a free one.
const PATIENCE: Duration = Duration::from_secs(10);

/// The checks of tasks that are about to end, or are leaks, and the pauses between them.
///
/// Time alone proves nothing on a starved machine: the remaining tasks may not have run at all. So as many threads pause
/// as have to run before the tasks can end. A pause that ends late shows that the machine is starved, and is repeated.
pub(crate) struct Attempts {
    left: u32,
    next: Duration,
    since: Instant,
    times: u32,
}

impl Attempts {
    pub(crate) fn new() -> Self {
        Self { left: PAUSES, next: SHORTEST, since: Instant::now(), times: 0 }
    }

    /// Counts a check.
    pub(crate) fn record(&mut self) {
        self.times += 1;
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary { times: self.times, within: self.since.elapsed() }
    }

    /// Attempts that many threads. Returns false if the pauses are used up.
    pub(crate) fn pause(&mut self, threads: usize) -> bool {
        if self.left == 0 || self.since.elapsed() > PATIENCE {
            return false;
        }
        let started = Instant::now();
        pause_all(self.next, threads.clamp(1, MOST_THREADS));
        self.count(started.elapsed());
        true
    }

    fn count(&mut self, took: Duration) {
        if took <= self.next + LATE {
            self.left -= 1;
            self.next = (2 * self.next).min(LONGEST);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "no timer of a runtime: paused time would run ahead to it"
)]
fn pause_all(pause: Duration, threads: usize) {
    let take_turns = move || {
        thread::sleep(pause);
        thread::yield_now();
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            if thread::Builder::new().spawn_scoped(scope, take_turns).is_err() {
                take_turns();
                break;
            }
        }
    });
}

/// How often was checked, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) times: u32,
    pub(crate) within: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_is_counted() {
        let mut attempts = Attempts::new();
        assert_eq!(attempts.times, 0);
        attempts.record();
        attempts.record();
        attempts.record();
        assert_eq!(attempts.summary().times, 3);
    }

    #[test]
    fn pauses_on_time_add_up_to_less_than_half_a_second() {
        let mut pauses = Attempts::new();
        let mut all = Vec::new();
        while pauses.left > 0 {
            all.push(pauses.next);
            pauses.count(pauses.next);
        }
        assert_eq!((all.len(), all[0], all[19]), (20, SHORTEST, LONGEST));
        let sum: Duration = all.iter().sum();
        assert!((400..500).contains(&sum.as_millis()), "{sum:?}");
    }

    #[test]
    fn a_pause_that_ends_late_is_repeated() {
        let mut pauses = Attempts::new();
        pauses.count(SHORTEST + LATE + SHORTEST);
        assert_eq!((pauses.left, pauses.next), (PAUSES, SHORTEST));
        pauses.count(SHORTEST + LATE);
        assert_eq!((pauses.left, pauses.next), (PAUSES - 1, 2 * SHORTEST));
    }

    #[test]
    fn the_check_ends_on_a_machine_that_is_always_late() {
        let long_ago = Instant::now().checked_sub(PATIENCE + LATE).expect("the clock is older");
        let mut pauses = Attempts { since: long_ago, ..Attempts::new() };
        assert!(!pauses.pause(1));
    }
}
