//! Faults in the code around the crate: owners, clocks, wakers, subscribers, hooks, a shutdown.
//!
//! After each fault the counters are checked: see [`books`]. Every test runs under a watchdog: see [`watched`].

#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "tests drive the crate from plain tasks")]

mod blocking;
mod books;
#[cfg(unix)]
#[path = "../process/child.rs"]
#[allow(dead_code, unused_imports, reason = "no test uses all of this module")]
mod child;
mod clock;
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
mod watched;
