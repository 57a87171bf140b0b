//! Looking inside.

#[cfg(feature = "serde")]
mod serialize;
mod set_limit;
mod stats;
mod tasks;

pub use set_limit::{SetLimitError, set_limit};
pub use stats::{TaskStats, stats};
pub use tasks::tasks;
