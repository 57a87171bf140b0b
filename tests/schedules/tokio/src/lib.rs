//! `tokio`, as the runtime's source finds it here.
//!
//! What tasks do runs in a schedule: tasks, time and `Notify` are replaced. The rest is tokio's own:
//! it is compiled, since the whole runtime is, and no schedule gets there.

pub use tokio::*;

pub mod schedule;
pub mod sync;
pub mod task;
pub mod time;

pub use task::spawn;
