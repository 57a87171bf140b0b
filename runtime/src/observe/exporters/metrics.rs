//! The `metrics` facade. Feature `metrics`.

use metrics::{Key, KeyName, Label, Level, Metadata, Recorder, SharedString};

use crate::observe::exporters::series;
use crate::observe::exporters::series::{FAMILIES, Family, Kind, Others, Sample, TASK};

static METADATA: Metadata<'static> =
    Metadata::new("tokio_supervised", Level::INFO, Some(module_path!()));

/// Publishes the counters of every supervised function to the recorder of the [`metrics`] facade. Feature `metrics`.
///
/// The facade does not pull, and a push at each run would slow down each run. So call this at an interval, or before
/// each rendering; between two calls the recorder keeps the last values.
///
/// ```
/// # use std::time::Duration;
/// # use tokio_supervised::{publish_metrics, supervised};
/// /// Spawn it in a group of main's.
/// #[supervised]
/// async fn publish_every_10s() {
///     let mut ticker = tokio::time::interval(Duration::from_secs(10));
///     loop {
///         ticker.tick().await;
///         publish_metrics();
///     }
/// }
/// ```
///
/// It uses the thread's recorder (`metrics::with_local_recorder`), or else the global one; without either it does
/// nothing. The names and labels are those of Prometheus: `supervised_tasks_started_total{task}`,
/// `supervised_tasks_finished_total{task,outcome}`, `supervised_tasks_running{task}`,
/// `supervised_tasks_waiting{task}`, `supervised_task_limit{task}`, `supervised_task_restarts_total{task}`,
/// `supervised_slow_polls_total{task}`.
/// `supervised_service_up{service}` is 1 for a service that is ready, and 0 also once it has ended. Pools that have a
/// name have `supervised_pool_slots{pool}`, `supervised_pool_in_use{pool}`, `supervised_pool_waiting{pool}` and
/// `supervised_pool_refused_total{pool}`.
/// Counters are set to absolute values (`Counter::absolute`), so a second publisher does no harm.
///
/// # Histograms
///
/// The facade's histograms take one value at a time, but the durations are already counted in buckets. These are
/// exported exactly, as the series of a Prometheus histogram: counters
/// `supervised_task_duration_seconds_bucket{task,le}`, cumulative, and `…_count{task}`, and a gauge `…_sum{task}` (the
/// facade's counters are whole numbers); `supervised_permit_wait_seconds` likewise, for functions that have a limit. In
/// Prometheus `histogram_quantile(0.99, sum by (task, le) (rate(supervised_task_duration_seconds_bucket[5m])))` works
/// on them; an exporter that adds the suffix `_total` to counters makes it `…_bucket_total`.
///
/// # Cost
///
/// Each name has about 40 series, or 60 with a limit, and each is found in the recorder by its labels. This takes about
/// 60 microseconds for each name with `metrics-exporter-prometheus`. A recorder with an idle timeout drops series that
/// are not published within it: choose a shorter interval.
///
/// # Panics
///
/// If the recorder panics.
pub fn publish_metrics() {
    metrics::with_recorder(|recorder| {
        FAMILIES.iter().for_each(|family| describe(recorder, family));
        let others = Others::now();
        for family in &FAMILIES {
            family.read_others(&others, |label, value, number| {
                let label = Label::new(label, value.to_owned());
                let key = Key::from_parts(name(family, ""), vec![label]);
                // The recorder keeps the last value: a service that has ended is not up.
                let number = number.unwrap_or(0.0);
                match family.metrics() {
                    [(_, Kind::Counter)] => {
                        recorder.register_counter(&key, &METADATA).absolute(number as u64);
                    }
                    _ => recorder.register_gauge(&key, &METADATA).set(number),
                }
            });
        }
        for series in series::all() {
            for family in &FAMILIES {
                family.read(&series, |sample| publish(recorder, family, series.name, sample));
            }
        }
    });
}

/// Describes the series. Without units: the names have them, and a recorder may append them again.
fn describe(recorder: &dyn Recorder, family: &Family) {
    for (suffix, kind) in family.metrics() {
        let name = KeyName::from(name(family, suffix));
        match kind {
            Kind::Counter => recorder.describe_counter(name, None, family.help.into()),
            Kind::Gauge | Kind::Sum => recorder.describe_gauge(name, None, family.help.into()),
        }
    }
}

fn publish(recorder: &dyn Recorder, family: &Family, task: &'static str, sample: Sample) {
    let Sample { metric: (suffix, kind), label, number } = sample;
    let task = Label::from_static_parts(TASK, task);
    let label = label.map(|(label, value)| Label::new(label, value));
    let labels: Vec<_> = [task].into_iter().chain(label).collect();
    let key = Key::from_parts(name(family, suffix), labels);
    match kind {
        Kind::Counter => recorder.register_counter(&key, &METADATA).absolute(number as u64),
        Kind::Gauge | Kind::Sum => recorder.register_gauge(&key, &METADATA).set(number),
    }
}

fn name(family: &Family, suffix: &str) -> SharedString {
    if suffix.is_empty() { family.name.into() } else { format!("{}{suffix}", family.name).into() }
}
