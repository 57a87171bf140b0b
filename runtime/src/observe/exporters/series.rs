//! The names, texts and numbers that all exporters share.
//!
//! Invariants, checked by `tests/exporters`
//!
//! 1. One [`Series`] covers all functions of a name: no label set appears twice, which a scrape would reject.
//! 2. The numbers of a name are read at one moment, ends before starts: `running` is never negative, and a histogram's
//!    count equals its last bucket. Otherwise rates would be negative.
//! 3. Counts only grow: no counter is reset, and a known function stays known. Otherwise a scraper would see a restart.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    function::TaskSpec,
    function::metrics::Totals,
    function::metrics::histogram::Histogram,
    outcome::Outcome,
    registry::pool_status::{PoolStatus, pools},
    registry::services,
    registry::services::ServiceState,
};

/// The label whose value is a function's name.
pub(crate) const TASK: &str = "task";
/// The label of [`Values::Outcomes`].
const OUTCOME: &str = "outcome";
/// The label whose value is a service's name.
const SERVICE: &str = "service";
/// The label whose value is a pool's name.
const POOL: &str = "pool";
/// The label of a histogram's buckets: the bound, in seconds.
const LE: &str = "le";

/// The sums over the functions of one name.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    running: u64,
    limit: Option<u64>,
    totals: Totals,
}

/// Series of one metric name.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    values: Values,
}

/// The kind of a metric.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A count that only grows.
    Counter,
    /// A number that rises and falls.
    Gauge,
    /// A sum of seconds, which only grows.
    Sum,
}

/// One number of a family.
pub(crate) struct Sample {
    /// One of [`Family::metrics`].
    pub(crate) metric: (&'static str, Kind),
    /// The label besides [`TASK`].
    pub(crate) label: Option<(&'static str, Cow<'static, str>)>,
    /// A count is exact up to 2^53.
    pub(crate) number: f64,
}

impl Family {
    /// Returns the metrics of the family: the suffix of the name, and the kind. A histogram has the series that
    /// Prometheus keeps of one.
    pub(crate) fn metrics(&self) -> &'static [(&'static str, Kind)] {
        match self.values {
            Values::Counter(_) | Values::Outcomes => &[("", Kind::Counter)],
            Values::Gauge(_) | Values::Services | Values::Pools(Kind::Gauge, _) => {
                &[("", Kind::Gauge)]
            }
            Values::Pools(..) => &[("", Kind::Counter)],
            Values::Seconds(_) => {
                &[("_bucket", Kind::Counter), ("_sum", Kind::Sum), ("_count", Kind::Counter)]
            }
        }
    }

    /// Whether its numbers are those that [`read_others`](Self::read_others) passes on.
    #[cfg(feature = "opentelemetry")]
    pub(crate) fn is_of_others(&self) -> bool {
        matches!(self.values, Values::Services | Values::Pools(..))
    }

    /// Passes the numbers of services or pools to `report`, if the family has such: the label, its value, the number.
    /// A service that has ended has none.
    pub(crate) fn read_others(
        &self,
        others: &Others,
        mut report: impl FnMut(&'static str, &str, Option<f64>),
    ) {
        match self.values {
            Values::Services => {
                for (service, up) in &others.services {
                    report(SERVICE, service, up.map(|up| up as f64));
                }
            }
            Values::Pools(_, number) => {
                for pool in &others.pools {
                    report(POOL, pool.name, Some(number(pool) as f64));
                }
            }
            _ => {}
        }
    }

    /// Passes each number of a name to `report`.
    pub(crate) fn read(&self, series: &Series, mut report: impl FnMut(Sample)) {
        let count = |suffix, label, count: u64| Sample {
            metric: (suffix, Kind::Counter),
            label,
            number: count as f64,
        };
        match self.values {
            Values::Counter(value) => report(count("", None, value(series))),
            Values::Outcomes => {
                for outcome in Outcome::ALL {
                    let label = (OUTCOME, outcome.as_str().into());
                    report(count("", Some(label), series.totals.ended[outcome as usize]));
                }
            }
            Values::Gauge(value) => {
                if let Some(value) = value(series) {
                    report(Sample { metric: ("", Kind::Gauge), ..count("", None, value) });
                }
            }
            Values::Services | Values::Pools(..) => {}
            Values::Seconds(histogram) => {
                let Some(histogram) = histogram(series) else { return };
                for (le, counted) in cumulative(histogram) {
                    report(count("_bucket", Some((LE, le.into())), counted));
                }
                let number = histogram.sum().as_secs_f64();
                report(Sample { metric: ("_sum", Kind::Sum), label: None, number });
                report(count("_count", None, histogram.count()));
            }
        }
    }
}

/// The source of a family's numbers.
enum Values {
    /// A count that only grows.
    Counter(fn(&Series) -> u64),
    /// A count that only grows, for each outcome.
    Outcomes,
    /// A number that rises and falls; `None` if the function has none.
    Gauge(fn(&Series) -> Option<u64>),
    /// Of each service: whether it is ready. See [`Others`].
    Services,
    /// Of each named pool: a counter or a gauge. See [`Others`].
    Pools(Kind, fn(&PoolStatus) -> u64),
    /// Durations; `None` if the function has none.
    Seconds(fn(&Series) -> Option<&Histogram>),
}

/// All families, in the order of their names.
pub(crate) static FAMILIES: [Family; 14] = [
    Family {
        name: "supervised_permit_wait_seconds",
        help: "How long the runs of a function with a limit waited for their permits.",
        values: Values::Seconds(|series| series.limit.map(|_| &series.totals.permit_waits)),
    },
    Family {
        name: "supervised_pool_in_use",
        help: "How many slots of a pool have a task or are reserved.",
        values: Values::Pools(Kind::Gauge, |pool| pool.in_use),
    },
    Family {
        name: "supervised_pool_refused_total",
        help: "Spawns and reservations that a pool refused: it was full or closed, or they would deadlock.",
        values: Values::Pools(Kind::Counter, |pool| pool.refused),
    },
    Family {
        name: "supervised_pool_slots",
        help: "How many tasks of a pool there may be at once.",
        values: Values::Pools(Kind::Gauge, |pool| pool.slots),
    },
    Family {
        name: "supervised_pool_waiting",
        help: "Spawns and reservations that wait for a slot of a pool.",
        values: Values::Pools(Kind::Gauge, |pool| pool.waiting),
    },
    Family {
        name: "supervised_service_up",
        help: "Whether a service is ready: 0 while it starts, restarts or stops.",
        values: Values::Services,
    },
    Family {
        name: "supervised_slow_polls_total",
        help: "Polls that were reported to block their worker.",
        values: Values::Counter(|series| series.totals.slow_polls),
    },
    Family {
        name: "supervised_task_duration_seconds",
        help: "How long the runs took, from the permit to the end.",
        values: Values::Seconds(|series| Some(&series.totals.durations)),
    },
    Family {
        name: "supervised_task_limit",
        help: "How many runs there may be at once.",
        values: Values::Gauge(|series| series.limit),
    },
    Family {
        name: "supervised_task_restarts_total",
        help: "Runs that followed another one of the same call.",
        values: Values::Counter(|series| series.totals.restarts),
    },
    Family {
        name: "supervised_tasks_finished_total",
        help: "Runs that ended, by how they ended.",
        values: Values::Outcomes,
    },
    Family {
        name: "supervised_tasks_running",
        help: "Runs whose body is under way.",
        values: Values::Gauge(|series| Some(series.running)),
    },
    Family {
        name: "supervised_tasks_started_total",
        help: "Runs that started, including runs that ended before they got a permit.",
        values: Values::Counter(|series| series.totals.started),
    },
    Family {
        name: "supervised_tasks_waiting",
        help: "Runs that wait for a permit, or to be spawned.",
        values: Values::Gauge(|series| Some(series.totals.waiting)),
    },
];

/// Returns the counts so far, in the order of the names.
pub(crate) fn all() -> impl Iterator<Item = Series> {
    let mut by_name = BTreeMap::new();
    for spec in TaskSpec::all() {
        let one = Series::of(spec);
        match by_name.get_mut(one.name) {
            None => drop(by_name.insert(one.name, one)),
            Some(sum) => Series::add(sum, &one),
        }
    }
    by_name.into_values()
}

/// The numbers that are not of functions, read at one moment.
pub(crate) struct Others {
    services: BTreeMap<Arc<str>, Option<u64>>,
    pools: Vec<PoolStatus>,
}

impl Others {
    pub(crate) fn now() -> Self {
        Self { services: services_up(), pools: pools() }
    }
}

/// Returns for each service whether it is ready: 1 or 0; `None` once it has ended. Of services of one name, all have to
/// be ready.
fn services_up() -> BTreeMap<Arc<str>, Option<u64>> {
    let mut services = BTreeMap::new();
    for service in services::services() {
        let up = match service.state {
            ServiceState::Stopped => None,
            state => Some(u64::from(state == ServiceState::Ready)),
        };
        services
            .entry(service.name)
            .and_modify(|all: &mut Option<u64>| *all = all.iter().copied().chain(up).min())
            .or_insert(up);
    }
    services
}

impl Series {
    pub(crate) fn of(spec: &'static TaskSpec) -> Self {
        let totals = spec.metrics().totals();
        let limit = spec.limit().map(|limit| limit.size() as u64);
        Self { name: spec.name(), running: totals.running(), limit, totals }
    }

    fn add(&mut self, other: &Self) {
        self.running += other.running;
        self.totals.add(&other.totals);
        self.limit = match (self.limit, other.limit) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
    }
}

/// Returns the buckets cumulatively, as Prometheus does: each `le`, and the number of durations up to it.
fn cumulative(histogram: &Histogram) -> impl Iterator<Item = (String, u64)> {
    let mut seen = 0;
    histogram.buckets().map(move |(bound, count)| {
        seen += count;
        (bound.map_or_else(|| "+Inf".into(), le), seen)
    })
}

/// Returns the shortest digits for a bound: `0.00002`, `0.5`, `100`.
fn le(bound: Duration) -> String {
    bound.as_secs_f64().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::Policy;

    static SPEC: TaskSpec = TaskSpec::new("one of two", Policy::DEFAULT.limit(3));

    /// Each number another one, and those of `times` so many times those of 1.
    fn counted(times: u64) -> Series {
        let mut series = Series::of(&SPEC);
        series.running = 2 * times;
        (series.totals.started, series.totals.waiting) = (3 * times, 5 * times);
        (series.totals.restarts, series.totals.slow_polls) = (7 * times, 9 * times);
        series.totals.ended = std::array::from_fn(|at| (11 + at as u64) * times);
        series
    }

    #[test]
    fn functions_of_one_name_are_summed() {
        let mut sum = counted(1);
        sum.add(&counted(4));
        let all = counted(5);
        assert_eq!((sum.running, sum.limit), (all.running, Some(6)));
        let (sum, all) = (sum.totals, all.totals);
        assert_eq!((sum.started, sum.ended), (all.started, all.ended));
        assert_eq!((sum.waiting, sum.restarts), (all.waiting, all.restarts));
        assert_eq!(sum.slow_polls, all.slow_polls);
    }

    #[test]
    fn families_are_sorted_by_name() {
        assert!(FAMILIES.is_sorted_by(|one, next| one.name < next.name));
    }

    #[test]
    fn a_bound_has_no_more_digits_than_it_needs() {
        let bounds = [10, 20_000, 500_000, 1_000_000, 50_000_000].map(Duration::from_micros);
        assert_eq!(bounds.map(le), ["0.00001", "0.02", "0.5", "1", "50"]);
    }
}
