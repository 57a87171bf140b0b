//! Counters and durations under OpenTelemetry's messaging names. Feature `metrics`; without it they cost nothing.

use std::time::Duration;

/// What a message's end is counted under: `error.type`, or none if it was done.
pub(crate) type ErrorType = Option<&'static str>;

#[cfg(feature = "metrics")]
pub(crate) struct Meter {
    labels: [metrics::Label; 2],
}

#[cfg(feature = "metrics")]
impl Meter {
    pub(crate) fn new(system: &'static str, destination: &str) -> Self {
        metrics::describe_counter!(CONSUMED, metrics::Unit::Count, "Messages that were delivered");
        let unit = metrics::Unit::Seconds;
        metrics::describe_histogram!(
            DURATION,
            unit,
            "The time that the handling of a message took"
        );
        let destination = destination.to_owned();
        let labels = [
            metrics::Label::from_static_parts("messaging.system", system),
            metrics::Label::new("messaging.destination.name", destination),
        ];
        Self { labels }
    }

    /// A message was delivered.
    pub(crate) fn consumed(&self) {
        metrics::counter!(CONSUMED, self.labels.iter()).increment(1);
    }

    /// An attempt at a message has ended.
    pub(crate) fn processed(&self, took: Duration, error: ErrorType) {
        let error = error.map(|error| metrics::Label::from_static_parts("error.type", error));
        let labels: Vec<_> = self.labels.iter().cloned().chain(error).collect();
        metrics::histogram!(DURATION, labels).record(took.as_secs_f64());
    }
}

#[cfg(feature = "metrics")]
const CONSUMED: &str = "messaging.client.consumed.messages";

#[cfg(feature = "metrics")]
const DURATION: &str = "messaging.process.duration";

#[cfg(not(feature = "metrics"))]
pub(crate) struct Meter;

#[cfg(not(feature = "metrics"))]
impl Meter {
    pub(crate) fn new(_system: &'static str, _destination: &str) -> Self {
        Self
    }

    pub(crate) fn consumed(&self) {}

    pub(crate) fn processed(&self, _took: Duration, _error: ErrorType) {}
}
