//! Looking inside.

mod stats;

pub use stats::{TaskStats, stats};
