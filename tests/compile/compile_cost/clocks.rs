//! How long a child process took.

use std::{
    fs,
    time::{Duration, Instant},
};

/// In seconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Taken {
    pub(crate) wall: f64,
    /// Processor time of the program and of the children that it waited for; 0 if the system does not report it.
    pub(crate) processor: f64,
}

pub(crate) struct Clock {
    started: Instant,
    processor: Duration,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { processor: processor(), started: Instant::now() }
    }

    pub(crate) fn stop(self) -> Taken {
        let wall = self.started.elapsed().as_secs_f64();
        Taken { wall, processor: (processor() - self.processor).as_secs_f64() }
    }
}

/// The processor time of all children waited for so far, in hundredths of a second: `cutime` and `cstime`.
fn processor() -> Duration {
    let Ok(stat) = fs::read_to_string("/proc/self/stat") else { return Duration::ZERO };
    // The program name is in parentheses and may contain spaces.
    let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
    let ticks = fields.split_whitespace().skip(13).take(2);
    let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().expect("ticks are a number")).sum();
    Duration::from_millis(ticks * 10)
}
