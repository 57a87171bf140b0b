//! The same call as other crates measure or trace it.

use std::{hint::black_box, sync::LazyLock, time::Instant};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio_metrics::TaskMonitor;
use tokio_supervised::TaskError;

use super::bare;

static MONITOR: LazyLock<TaskMonitor> = LazyLock::new(TaskMonitor::new);

pub(super) async fn with_tokio_metrics(n: u64) -> Result<u64, TaskError> {
    MONITOR.instrument(bare(n)).await
}

#[autometrics::autometrics]
pub(super) async fn with_autometrics(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

#[tracing::instrument(skip_all)]
pub(super) async fn with_tracing(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

/// The recorder that the facade's macros find, with as many buckets as a supervised function has.
pub(super) fn install_metrics() -> PrometheusHandle {
    let power = |exponent| 10_f64.powi(exponent);
    let bounds: Vec<f64> = (-5..3).flat_map(|at| [1.0, 2.0, 5.0].map(|n| n * power(at))).collect();
    let builder = PrometheusBuilder::new().set_buckets(&bounds[..22]);
    let recorder = builder.expect("there are buckets").build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).expect("it is the first recorder");
    handle
}

/// A counter and a histogram for each call, found by name as the facade's documentation does it.
pub(super) async fn with_metrics(n: u64) -> Result<u64, TaskError> {
    let begin = Instant::now();
    let ended = bare(n).await;
    metrics::counter!("calls_total", "function" => "bare").increment(1);
    metrics::histogram!("call_seconds", "function" => "bare").record(begin.elapsed());
    ended
}
