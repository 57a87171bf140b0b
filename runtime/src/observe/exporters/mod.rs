//! The exporters, each behind a feature.

#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(feature = "opentelemetry")]
pub(crate) mod otel;
#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(any(feature = "metrics", feature = "opentelemetry", feature = "prometheus"))]
pub(crate) mod series;
