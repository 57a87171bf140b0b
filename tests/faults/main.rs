//! Faults in the code around the crate: owners, clocks, wakers, subscribers, hooks, a shutdown.
//!
//! After each fault the counters are checked: see [`counters`]. Every test has a watchdog: see `testkit::watched`.

#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "tests drive the crate from plain tasks")]

mod blocking;
mod clock;
mod counters;
mod errors;
mod load;
#[cfg(unix)]
mod processes;
mod shut_down;
mod steps;
mod steps_group;
mod steps_inline;
mod steps_local;
mod steps_map;
mod steps_nested;
mod steps_pool;
mod subscriber;
mod wakers;
