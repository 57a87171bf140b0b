//! OpenTelemetry metrics. Feature `opentelemetry`.

use opentelemetry::{KeyValue, metrics::Meter};

use crate::{function::metrics::histogram::Histogram, outcome::Outcome};
use crate::{
    observe::exporters::series,
    observe::exporters::series::{FAMILIES, Family, LE, OUTCOME, SERVICE, Series, TASK, Values},
};

/// Registers instruments with the meter that report the counters of every supervised function at each collection. Feature
/// `opentelemetry`.
///
/// Call it once, after the meter provider is set; the instruments live as long as the provider. A second call on a
/// meter of the same provider registers the same instruments again, which backends treat differently.
///
/// ```
/// use tokio_supervised::register_metrics;
///
/// register_metrics(&opentelemetry::global::meter("tokio-supervised"));
/// ```
///
/// Names and attributes are those of the Prometheus series, whatever the backend, so one dashboard fits all:
///
/// | instrument | attributes | kind |
/// |---|---|---|
/// | `supervised_tasks_started_total` | `task` | counter |
/// | `supervised_tasks_finished_total` | `task`, `outcome` | counter |
/// | `supervised_tasks_running`, `supervised_tasks_waiting` | `task` | up-down counter |
/// | `supervised_task_limit` | `task`, of functions that have one | up-down counter |
/// | `supervised_task_restarts_total` | `task` | counter |
/// | `supervised_service_up` | `service`, of services that have not ended | up-down counter |
/// | `supervised_task_duration_seconds_bucket`, `supervised_permit_wait_seconds_bucket` | `task`, `le` | counter |
/// | `…_count`, `…_sum` of both | `task` | counter |
///
/// The waits for permits are those of functions that have a limit.
///
/// # Histograms
///
/// OpenTelemetry has no observable histogram, and a synchronous one would slow down each run. So the existing buckets are
/// exported exactly, as cumulative counters with their upper bound in seconds in the attribute `le`. Prometheus exporters
/// add the suffix `_total` to a counter's name if it has none:
/// `histogram_quantile(0.99, sum by (task, le) (rate(supervised_task_duration_seconds_bucket_total[5m])))`.
///
/// # Cost
///
/// Nothing between collections. Each of the 13 instruments is read on its own, so two of them may be some microseconds
/// apart; with the SDK a collection takes about 100 microseconds for each name. A bucket instrument has 23 attribute
/// sets for each name: at 87 names it passes 2,000, beyond which the SDK puts the others into one overflow set, unless
/// a view raises that instrument's cardinality limit.
pub fn register_metrics(meter: &Meter) {
    for Family { name, help, values } in &FAMILIES {
        match *values {
            Values::Counter(value) => {
                counter(meter, name.to_string(), help, move |series, observe| {
                    observe(value(series), None);
                });
            }
            Values::Outcomes => counter(meter, name.to_string(), help, |series, observe| {
                for outcome in Outcome::ALL {
                    let label = KeyValue::new(OUTCOME, outcome.as_str());
                    observe(series.ended(outcome), Some(label));
                }
            }),
            Values::Services => services(meter, name, help),
            Values::Gauge(value) => gauge(meter, name, help, value),
            Values::Seconds(histogram) => seconds(meter, name, help, histogram),
        }
    }
}

fn seconds(
    meter: &Meter,
    name: &'static str,
    help: &'static str,
    histogram: fn(&Series) -> Option<&Histogram>,
) {
    counter(meter, format!("{name}_bucket"), help, move |series, observe| {
        for (le, count) in histogram(series).into_iter().flat_map(series::cumulative) {
            observe(count, Some(KeyValue::new(LE, le)));
        }
    });
    counter(meter, format!("{name}_count"), help, move |series, observe| {
        if let Some(histogram) = histogram(series) {
            observe(histogram.count(), None);
        }
    });
    let sum = meter.f64_observable_counter(format!("{name}_sum")).with_description(help);
    _ = sum
        .with_callback(move |observer| {
            for series in series::all() {
                if let Some(histogram) = histogram(&series) {
                    observer.observe(histogram.sum().as_secs_f64(), &[task(&series)]);
                }
            }
        })
        .build();
}

/// Registers a counter. `read` gets the numbers of each name and reports them.
fn counter(
    meter: &Meter,
    name: String,
    help: &'static str,
    read: impl Fn(&Series, &dyn Fn(u64, Option<KeyValue>)) + Send + Sync + 'static,
) {
    _ = meter
        .u64_observable_counter(name)
        .with_description(help)
        .with_callback(move |observer| {
            for series in series::all() {
                read(&series, &|value, label| match label {
                    None => observer.observe(value, &[task(&series)]),
                    Some(label) => observer.observe(value, &[task(&series), label]),
                });
            }
        })
        .build();
}

/// An up-down counter rather than a gauge: the values of several instances add up.
fn gauge(meter: &Meter, name: &'static str, help: &'static str, value: fn(&Series) -> Option<u64>) {
    _ = meter
        .i64_observable_up_down_counter(name)
        .with_description(help)
        .with_callback(move |observer| {
            for series in series::all() {
                if let Some(value) = value(&series) {
                    observer.observe(i64::try_from(value).unwrap_or(i64::MAX), &[task(&series)]);
                }
            }
        })
        .build();
}

fn services(meter: &Meter, name: &'static str, help: &'static str) {
    _ = meter
        .i64_observable_up_down_counter(name)
        .with_description(help)
        .with_callback(|observer| {
            for (service, up) in series::services_up() {
                if let Some(up) = up {
                    let up = i64::try_from(up).unwrap_or(i64::MAX);
                    observer.observe(up, &[KeyValue::new(SERVICE, service.to_string())]);
                }
            }
        })
        .build();
}

fn task(series: &Series) -> KeyValue {
    KeyValue::new(TASK, series.name)
}
