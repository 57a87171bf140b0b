//! `register_metrics()`, and the SDK's in-memory exporter.

use std::collections::BTreeMap;

use opentelemetry::{KeyValue, metrics::MeterProvider};
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, InMemoryMetricExporterBuilder, PeriodicReader, SdkMeterProvider,
    Temporality,
    data::{AggregatedMetrics, Metric, MetricData, Sum},
};
use tokio_supervised::{CancellationToken, prometheus, register_metrics, supervised};

use crate::{Samples, of, page::Page, run, value};

/// An SDK that keeps its collections.
pub(crate) struct Collected {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

impl Collected {
    pub(crate) fn new(temporality: Temporality) -> Self {
        let exporter = InMemoryMetricExporterBuilder::new().with_temporality(temporality).build();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        register_metrics(&provider.meter("test"));
        Self { provider, exporter }
    }

    /// Collects, and returns the results of `look` for each metric.
    fn collect<T>(&self, mut look: impl FnMut(&Metric) -> Vec<T>) -> Vec<T> {
        self.exporter.reset();
        self.provider.force_flush().unwrap();
        let collections = self.exporter.get_finished_metrics().unwrap();
        assert!(collections.len() <= 1, "one collection, and none before the first function");
        let scopes = collections.iter().flat_map(|collection| collection.scope_metrics());
        scopes.flat_map(|scope| scope.metrics()).flat_map(&mut look).collect()
    }

    pub(crate) fn samples(&self, task: &str) -> Samples {
        let points = self.collect(|metric| {
            let points = match metric.data() {
                AggregatedMetrics::U64(MetricData::Sum(sum)) => points(sum, |value| value as f64),
                AggregatedMetrics::I64(MetricData::Sum(sum)) => points(sum, |value| value as f64),
                AggregatedMetrics::F64(MetricData::Sum(sum)) => points(sum, |value| value),
                other => panic!("sums only: {other:?}"),
            };
            points
                .into_iter()
                .map(|(labels, value)| (metric.name().to_owned(), labels, value))
                .collect()
        });
        let mut samples = Samples::new();
        for (name, labels, value) in points {
            let before = samples.insert((name.clone(), labels), value);
            assert_eq!(before, None, "duplicate series: {name}");
        }
        of(task, samples)
    }
}

type Labels = BTreeMap<String, String>;

fn points<T: Copy>(sum: &Sum<T>, number: impl Fn(T) -> f64) -> Vec<(Labels, f64)> {
    let labels = |label: &KeyValue| (label.key.to_string(), label.value.to_string());
    let points = sum.data_points();
    points.map(|point| (point.attributes().map(labels).collect(), number(point.value()))).collect()
}

#[test]
fn a_collection_has_the_numbers_of_the_page() {
    #[supervised(name = "otel: \"all\"", limit = 2)]
    async fn all() {
        tokio::task::yield_now().await;
    }

    run(all(&CancellationToken::new()));
    let page = of("otel: \"all\"", Page::read(&prometheus::text()).samples);
    assert_eq!(page.len(), 63);
    let collected = Collected::new(Temporality::Cumulative);
    assert_eq!(collected.samples("otel: \"all\""), page);
    assert_eq!(collected.samples("otel: \"all\""), page, "nothing happened since");
}

#[test]
fn a_collection_has_no_waits_of_a_function_without_a_limit() {
    #[supervised(name = "otel: never waits")]
    async fn never_waits() {}

    run(never_waits(&CancellationToken::new()));
    let page = of("otel: never waits", Page::read(&prometheus::text()).samples);
    assert_eq!(page.len(), 63 - 1 - 25, "neither the limit nor the waits");
    assert_eq!(Collected::new(Temporality::Cumulative).samples("otel: never waits"), page);
}

#[test]
fn a_later_function_is_in_the_next_collection() {
    #[supervised(name = "otel: later")]
    async fn later() {}

    let collected = Collected::new(Temporality::Cumulative);
    assert_eq!(collected.samples("otel: later"), Samples::new());
    run(later(&CancellationToken::new()));
    let samples = collected.samples("otel: later");
    let started = value(&samples, "supervised_tasks_started_total", &[("task", "otel: later")]);
    assert_eq!(started, Some(1.0));
}

#[test]
fn a_delta_backend_gets_differences_of_buckets_too() {
    #[supervised(name = "otel: delta")]
    async fn delta() {}

    let collected = Collected::new(Temporality::Delta);
    for runs in [3_u8, 2] {
        (0..runs).for_each(|_| run(delta(&CancellationToken::new())));
        let samples = collected.samples("otel: delta");
        for (name, more) in [
            ("supervised_tasks_started_total", &[][..]),
            ("supervised_task_duration_seconds_count", &[]),
            ("supervised_task_duration_seconds_bucket", &[("le", "+Inf")]),
        ] {
            let labels = [&[("task", "otel: delta")], more].concat();
            assert_eq!(value(&samples, name, &labels), Some(f64::from(runs)), "{name}");
        }
    }
}

#[test]
fn only_counters_are_monotonic() {
    #[supervised(name = "otel: kinds", limit = 1)]
    async fn kinds() {}

    run(kinds(&CancellationToken::new()));
    let kinds = Collected::new(Temporality::Cumulative).collect(|metric| {
        assert!(!metric.description().is_empty(), "{}", metric.name());
        let monotonic = match metric.data() {
            AggregatedMetrics::U64(MetricData::Sum(sum)) => sum.is_monotonic(),
            AggregatedMetrics::I64(MetricData::Sum(sum)) => sum.is_monotonic(),
            AggregatedMetrics::F64(MetricData::Sum(sum)) => sum.is_monotonic(),
            other => panic!("sums only: {other:?}"),
        };
        vec![(metric.name().to_owned(), monotonic)]
    });
    // Another test may have made a pool with a name.
    let is_of_tasks = |name: &str| !name.starts_with("supervised_pool_");
    assert_eq!(kinds.iter().filter(|(name, _)| is_of_tasks(name)).count(), 13, "{kinds:?}");
    for (name, monotonic) in kinds {
        let falls = ["_running", "_waiting", "_limit", "_slots", "_in_use"]
            .iter()
            .any(|end| name.ends_with(end));
        assert_eq!(monotonic, !falls, "{name}");
    }
}
