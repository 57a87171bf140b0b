//! OpenTelemetry metrics. Feature `opentelemetry`.

use opentelemetry::{KeyValue, metrics::Meter};

use crate::observe::exporters::series;
use crate::observe::exporters::series::{FAMILIES, Family, Kind, Others, TASK};

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
/// Names and attributes are those of the Prometheus series for every backend, so one dashboard fits all:
///
/// | instrument | attributes | kind |
/// |---|---|---|
/// | `supervised_tasks_started_total` | `task` | counter |
/// | `supervised_tasks_finished_total` | `task`, `outcome` | counter |
/// | `supervised_tasks_running`, `supervised_tasks_waiting` | `task` | up-down counter |
/// | `supervised_task_limit` | `task`, of functions that have one | up-down counter |
/// | `supervised_task_restarts_total`, `supervised_slow_polls_total` | `task` | counter |
/// | `supervised_service_up` | `service`, of services that have not ended | up-down counter |
/// | `supervised_pool_slots`, `supervised_pool_in_use`, `supervised_pool_waiting` | `pool`, of pools that have a name | up-down counter |
/// | `supervised_pool_refused_total` | `pool` | counter |
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
/// Nothing between collections. Each of the 18 instruments is read on its own, so two of them may be some microseconds
/// apart; with the SDK a collection takes about 100 microseconds for each name. A bucket instrument has 23 attribute
/// sets for each name: at 87 names it passes 2,000, beyond which the SDK puts the others into one overflow set, unless
/// a view raises that instrument's cardinality limit.
pub fn register_metrics(meter: &Meter) {
    for family in &FAMILIES {
        for (suffix, kind) in family.metrics() {
            register(meter, family, suffix, *kind);
        }
    }
}

fn register(meter: &Meter, family: &'static Family, suffix: &'static str, kind: Kind) {
    let name = format!("{}{suffix}", family.name);
    match kind {
        Kind::Counter => {
            _ = meter
                .u64_observable_counter(name)
                .with_description(family.help)
                .with_callback(move |to| {
                    read(family, suffix, |number, labels| to.observe(number as u64, labels));
                })
                .build()
        }
        // An up-down counter rather than a gauge: the values of several instances add up.
        Kind::Gauge => {
            _ = meter
                .i64_observable_up_down_counter(name)
                .with_description(family.help)
                .with_callback(move |to| {
                    read(family, suffix, |number, labels| to.observe(number as i64, labels));
                })
                .build()
        }
        Kind::Sum => {
            _ = meter
                .f64_observable_counter(name)
                .with_description(family.help)
                .with_callback(move |to| {
                    read(family, suffix, |number, labels| to.observe(number, labels));
                })
                .build()
        }
    }
}

/// Passes the numbers of one metric to `observe`.
fn read(family: &Family, suffix: &str, observe: impl Fn(f64, &[KeyValue])) {
    if family.is_of_others() {
        family.read_others(&Others::now(), |label, value, number| {
            if let Some(number) = number {
                observe(number, &[KeyValue::new(label, value.to_owned())]);
            }
        });
        return;
    }
    for series in series::all() {
        family.read(&series, |sample| {
            if sample.metric.0 == suffix {
                let task = KeyValue::new(TASK, series.name);
                let label = sample.label.map(|(label, value)| KeyValue::new(label, value));
                let labels: Vec<_> = [task].into_iter().chain(label).collect();
                observe(sample.number, &labels);
            }
        });
    }
}
