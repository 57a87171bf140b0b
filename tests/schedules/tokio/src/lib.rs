//! `tokio` for the runtime under test.
//!
//! The parts that tasks use run in a schedule: tasks, time and `Notify` are replaced. The rest is tokio's own: it
//! is compiled with the whole runtime, and no schedule reaches it.

pub use tokio::*;

pub mod schedule;
pub mod sync;
pub mod task;
pub mod time;

pub use task::spawn;
