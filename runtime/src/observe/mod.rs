//! Counters, live tasks, exporters and the ops page.

pub(crate) mod exporters;

#[cfg(feature = "axum")]
pub mod ops;
#[cfg(feature = "serde")]
mod serialize;
pub(crate) mod set_limit;
pub(crate) mod stats;
pub(crate) mod tasks;
