//! When to look for leaks: at once, then again after ever longer pauses.
//!
//! The pauses are of the thread, never of a timer: paused time stands still meanwhile.

use std::time::{Duration, Instant};

/// As many as there are after the first look; they add up to 0.43 s.
const PAUSES: u32 = 20;

const LONGEST: Duration = Duration::from_millis(100);

/// 1 µs, and twice as long each time, up to 100 ms.
pub(super) fn pauses() -> impl Iterator<Item = Duration> + Send {
    (0..PAUSES).map(|doubled| Duration::from_micros(1 << doubled).min(LONGEST))
}

/// How often was looked, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked {
    pub(super) times: u32,
    pub(super) within: Duration,
}

/// Counts looks.
pub(super) struct Looking {
    since: Instant,
    times: u32,
}

impl Looking {
    pub(super) fn begin() -> Self {
        Self { since: Instant::now(), times: 0 }
    }

    pub(super) fn once(&mut self) {
        self.times += 1;
    }

    pub(super) fn end(self) -> Looked {
        Looked { times: self.times, within: self.since.elapsed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_look_is_counted() {
        let mut looking = Looking::begin();
        assert_eq!(looking.times, 0);
        looking.once();
        looking.once();
        looking.once();
        assert_eq!(looking.end().times, 3);
    }

    #[test]
    fn the_looks_take_less_than_half_a_second() {
        let all: Duration = pauses().sum();
        assert!((400..500).contains(&all.as_millis()), "{all:?}");
        assert_eq!(pauses().next(), Some(Duration::from_micros(1)));
        assert_eq!(pauses().last(), Some(LONGEST));
    }
}
