//! Looking inside.

mod set_limit;
mod stats;

pub use set_limit::{SetLimitError, set_limit};
pub use stats::{TaskStats, stats};
