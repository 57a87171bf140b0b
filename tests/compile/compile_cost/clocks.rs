//! How long a program that was waited for took.

use std::{
    fs,
    time::{Duration, Instant},
};

/// In seconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Taken {
    pub(crate) wall: f64,
    /// Of the program and those that it waited for; 0 where nobody tells.
    pub(crate) processor: f64,
}

pub(crate) struct Clock {
    begin: Instant,
    processor: Duration,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { processor: processor(), begin: Instant::now() }
    }

    pub(crate) fn stop(self) -> Taken {
        let wall = self.begin.elapsed().as_secs_f64();
        Taken { wall, processor: (processor() - self.processor).as_secs_f64() }
    }
}

/// What all children that have been waited for took so far, in hundredths of a second: `cutime` and `cstime`.
fn processor() -> Duration {
    let Ok(stat) = fs::read_to_string("/proc/self/stat") else { return Duration::ZERO };
    // The name of the program stands in parentheses, and may have spaces.
    let (_, fields) = stat.rsplit_once(')').expect("the name stands in parentheses");
    let ticks = fields.split_whitespace().skip(13).take(2);
    let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().expect("ticks are a number")).sum();
    Duration::from_millis(ticks * 10)
}
