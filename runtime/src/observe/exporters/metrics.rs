//! The `metrics` facade. Feature `metrics`.

use metrics::{Key, KeyName, Label, Level, Metadata, Recorder, SharedString};

use crate::{function::metrics::histogram::Histogram, outcome::Outcome};
use crate::{
    observe::exporters::series,
    observe::exporters::series::{FAMILIES, Family, LE, OUTCOME, SERVICE, Series, TASK, Values},
};

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
/// `supervised_tasks_waiting{task}`, `supervised_task_limit{task}`, `supervised_task_restarts_total{task}`.
/// `supervised_service_up{service}` is 1 for a service that is ready, and 0 also once it has ended.
/// Counters are set to absolute values (`Counter::absolute`), so a second publisher does no harm.
///
/// # Histograms
///
/// A histogram of the facade takes one value at a time; the durations have been counted in buckets already. These
/// go out as they are, exact, in the series in which Prometheus keeps a histogram: counters
/// `supervised_task_duration_seconds_bucket{task,le}`, cumulative, and `…_count{task}`, and a gauge `…_sum{task}`
/// (the facade's counters are whole numbers); `supervised_permit_wait_seconds` likewise, of functions that have a limit. In Prometheus
/// `histogram_quantile(0.99, sum by (task, le) (rate(supervised_task_duration_seconds_bucket[5m])))` works on them;
/// an exporter that ends the names of counters with `_total` makes it `…_bucket_total`.
///
/// # Cost
///
/// About 40 series for each name, 60 with a limit, each looked up in the recorder by its labels: some 60 microseconds for a name
/// with `metrics-exporter-prometheus`. A recorder with an idle timeout drops series that are not published for that
/// long: choose a shorter interval.
///
/// # Panics
///
/// If the recorder panics.
pub fn publish_metrics() {
    metrics::with_recorder(|recorder| {
        for Family { name, help, values } in &FAMILIES {
            describe(recorder, name, help, values);
        }
        for (service, up) in series::services_up() {
            // The recorder keeps the last value: a service that has ended is not up.
            let up = up.unwrap_or(0) as f64;
            for Family { name, .. } in
                FAMILIES.iter().filter(|family| matches!(family.values, Values::Services))
            {
                let key = Key::from_parts(*name, vec![Label::new(SERVICE, service.to_string())]);
                recorder.register_gauge(&key, &METADATA).set(up);
            }
        }
        for series in series::all() {
            for Family { name, values, .. } in &FAMILIES {
                To { recorder, series: &series }.publish(name, values);
            }
        }
    });
}

/// Describes the series. Without units: the names have them, and a recorder may append them again.
fn describe(recorder: &dyn Recorder, name: &'static str, help: &'static str, values: &Values) {
    let counter =
        |name: SharedString| recorder.describe_counter(KeyName::from(name), None, help.into());
    let gauge =
        |name: SharedString| recorder.describe_gauge(KeyName::from(name), None, help.into());
    match values {
        Values::Counter(_) | Values::Outcomes => counter(name.into()),
        Values::Gauge(_) | Values::Services => gauge(name.into()),
        Values::Seconds(_) => {
            counter(format!("{name}_bucket").into());
            counter(format!("{name}_count").into());
            gauge(format!("{name}_sum").into());
        }
    }
}

struct To<'a> {
    recorder: &'a dyn Recorder,
    series: &'a Series,
}

impl To<'_> {
    fn publish(&self, name: &'static str, values: &Values) {
        match values {
            Values::Counter(value) => self.counter(name, None, value(self.series)),
            Values::Outcomes => {
                for outcome in Outcome::ALL {
                    let label = Label::from_static_parts(OUTCOME, outcome.as_str());
                    self.counter(name, Some(label), self.series.ended(outcome));
                }
            }
            Values::Services => {}
            Values::Gauge(value) => {
                if let Some(value) = value(self.series) {
                    self.gauge(name, value as f64);
                }
            }
            Values::Seconds(histogram) => {
                if let Some(histogram) = histogram(self.series) {
                    self.histogram(name, histogram);
                }
            }
        }
    }

    fn histogram(&self, name: &'static str, histogram: &Histogram) {
        for (le, count) in series::cumulative(histogram) {
            self.counter(format!("{name}_bucket"), Some(Label::new(LE, le)), count);
        }
        self.gauge(format!("{name}_sum"), histogram.sum().as_secs_f64());
        self.counter(format!("{name}_count"), None, histogram.count());
    }

    fn counter(&self, name: impl Into<SharedString>, label: Option<Label>, value: u64) {
        self.recorder.register_counter(&self.key(name, label), &METADATA).absolute(value);
    }

    fn gauge(&self, name: impl Into<SharedString>, value: f64) {
        self.recorder.register_gauge(&self.key(name, None), &METADATA).set(value);
    }

    fn key(&self, name: impl Into<SharedString>, label: Option<Label>) -> Key {
        let task = Label::from_static_parts(TASK, self.series.name);
        let labels: Vec<_> = [task].into_iter().chain(label).collect();
        Key::from_parts(name.into(), labels)
    }
}
