//! Looking inside.

#[cfg(feature = "metrics")]
mod facade;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
#[cfg(feature = "axum")]
pub mod ops;
#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(feature = "serde")]
mod serialize;
#[cfg(any(feature = "metrics", feature = "opentelemetry", feature = "prometheus"))]
mod series;
mod set_limit;
mod stats;
mod tasks;

#[cfg(feature = "opentelemetry")]
pub use self::opentelemetry::register_metrics;
#[cfg(feature = "metrics")]
pub use facade::publish_metrics;
pub use set_limit::{SetLimitError, set_limit};
pub use stats::{TaskStats, stats};
pub use tasks::tasks;
