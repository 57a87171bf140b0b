//! Waits that double.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Backoff {
    /// The wait after the `failure`th failure, from 1.
    pub(crate) fn after(self, failure: u32) -> Duration {
        let doubled = 1_u32 << failure.saturating_sub(1).min(31);
        self.first.saturating_mul(doubled).min(self.longest)
    }

    /// Between half of [`after`](Self::after) and all of it: workers that lost one broker do not return in one moment.
    pub(crate) fn jittered(self, failure: u32) -> Duration {
        let wait = self.after(failure);
        wait.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

    #[test]
    fn a_wait_doubles_up_to_the_longest() {
        let waits = [1, 2, 3, 6, 7, u32::MAX].map(|failure| BACKOFF.after(failure).as_secs());
        assert_eq!(waits, [1, 2, 4, 32, 60, 60]);
    }

    #[test]
    fn jitter_stays_between_half_and_all() {
        for _ in 0..1_000 {
            let wait = BACKOFF.jittered(3).as_secs_f64();
            assert!((2.0..=4.0).contains(&wait), "{wait}");
        }
    }
}
