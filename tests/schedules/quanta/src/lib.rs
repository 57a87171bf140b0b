//! `quanta` for the runtime under test: durations are drawn from the seed of the schedule, since a `map` depends on
//! them.

use std::cell::Cell;

use schedules_std::step::is_in_a_task;
use shuttle::rand::{Rng, thread_rng};

/// Usually little time passes between two readings, and sometimes much.
#[derive(Debug, Default)]
pub struct Clock;

thread_local! {
    static NANOS: Cell<u64> = const { Cell::new(1) };
}

impl Clock {
    /// A clock.
    pub fn new() -> Self {
        Self
    }

    /// A reading, in nanoseconds.
    pub fn raw(&self) -> u64 {
        let is_long = is_in_a_task() && thread_rng().gen_ratio(1, 16);
        NANOS.set(NANOS.get() + if is_long { 1_000_000 } else { 100 });
        NANOS.get()
    }

    /// Between two readings.
    pub fn delta_as_nanos(&self, earlier: u64, later: u64) -> u64 {
        later.saturating_sub(earlier)
    }
}
