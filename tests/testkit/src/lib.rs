//! Shared by the tests: watchdogs, child processes, counters, random numbers. Not published.

#![allow(missing_docs, reason = "unpublished; what a name does not say is documented")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![allow(clippy::disallowed_methods, reason = "helpers run beside the tasks under test")]

pub mod callgrind;
pub mod counters;
pub mod ends;
#[cfg(feature = "events")]
pub mod events;
#[cfg(all(unix, feature = "fixtures"))]
pub mod fixture;
#[cfg(feature = "http")]
pub mod http;
pub mod memory;
mod poll;
#[cfg(all(unix, feature = "programs"))]
pub mod program;
pub mod random;
pub mod recursion;
pub mod tools;
pub mod watchdog;

pub use counters::{outcomes_of, stats_of};
pub use ends::{Act, End, Failed};
pub use poll::{Alive, poll_once, runtime, turn};
pub use watchdog::{finishes, in_hours, in_time, until, watched};
