//! Looking inside.

#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(feature = "serde")]
mod serialize;
#[cfg(feature = "prometheus")]
mod series;
mod set_limit;
mod stats;
mod tasks;

pub use set_limit::{SetLimitError, set_limit};
pub use stats::{TaskStats, stats};
pub use tasks::tasks;
