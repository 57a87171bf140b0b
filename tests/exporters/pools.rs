//! Named pools, as each exporter shows them.

use std::{future::pending, time::Duration};

use metrics_exporter_prometheus::PrometheusRecorder;
use opentelemetry_sdk::metrics::Temporality;
use tokio_supervised::{Pool, TaskError, supervised};

use crate::{
    facade::{published, recorder},
    otel::Collected,
    run, text, value,
};
use testkit::poll_once;

#[supervised(name = "pools: never")]
async fn never() -> Result<(), TaskError> {
    pending().await
}

/// Waits for a permit of its own, and not for a slot.
#[supervised(name = "pools: one", limit = 1)]
async fn one() -> Result<(), TaskError> {
    pending().await
}

/// Slots, in use, waiting, refused.
type Numbers = [Option<f64>; 4];

const SERIES: [&str; 4] = [
    "supervised_pool_slots",
    "supervised_pool_in_use",
    "supervised_pool_waiting",
    "supervised_pool_refused_total",
];

/// As each exporter shows the pools of a name.
struct Exporters(PrometheusRecorder, Collected);

impl Exporters {
    fn new() -> Self {
        Self(recorder(), Collected::new(Temporality::Cumulative))
    }

    fn show(&self, pool: &str) -> [Numbers; 3] {
        let Self(recorder, collected) = self;
        let all = [text::samples(pool), published(recorder, pool), collected.samples(pool)];
        all.map(|samples| SERIES.map(|name| value(&samples, name, &[("pool", pool)])))
    }

    fn assert(&self, pool: &str, numbers: [u32; 4]) {
        assert_eq!(self.show(pool), [numbers.map(|number| Some(f64::from(number))); 3]);
    }
}

#[test]
fn a_named_pool_shows_its_slots_and_what_waits_for_them() {
    const NAME: &str = "exported \"pool\"";
    run(async {
        let exporters = Exporters::new();
        let pool = Pool::new(3).name(NAME);
        exporters.assert(NAME, [3, 0, 0, 0]);
        pool.spawn(never).await.unwrap();
        pool.spawn(one).await.unwrap();
        // A slot is free: it waits for the permit.
        let mut for_permit = Box::pin(pool.spawn(one));
        assert!(poll_once(for_permit.as_mut()).is_pending());
        exporters.assert(NAME, [3, 2, 0, 0]);
        let slot = pool.reserve().await.unwrap();
        let (mut spawn, mut reserve) = (Box::pin(pool.spawn(never)), Box::pin(pool.reserve()));
        assert!(poll_once(spawn.as_mut()).is_pending());
        assert!(poll_once(reserve.as_mut()).is_pending());
        // The spawn of `one` waits for both now.
        exporters.assert(NAME, [3, 3, 3, 0]);
        pool.try_spawn(never).unwrap_err();
        drop((for_permit, spawn, reserve, slot));
        pool.set_limit(5).unwrap();
        exporters.assert(NAME, [5, 2, 0, 1]);
        pool.drain(Duration::ZERO).await.unwrap_err();
        pool.try_spawn(never).unwrap_err();
        pool.spawn(never).await.unwrap_err();
        pool.reserve().await.unwrap_err();
        exporters.assert(NAME, [5, 0, 0, 4]);
    });
}

#[test]
fn pools_of_one_name_are_summed_and_their_refusals_stay() {
    const NAME: &str = "exported twice";
    run(async {
        let exporters = Exporters::new();
        let (one, other) = (Pool::new(1).name(NAME), Pool::new(2).name(NAME));
        for pool in [&one, &other] {
            pool.spawn(never).await.unwrap();
            for _ in 0..2 {
                _ = pool.try_spawn(never);
            }
        }
        exporters.assert(NAME, [3, 3, 0, 3]);
        drop((one, other));
        tokio::task::yield_now().await;
        exporters.assert(NAME, [0, 0, 0, 3]);
    });
}

#[test]
fn a_pool_without_a_name_has_no_series() {
    run(async {
        let pool = Pool::new(77);
        let all = tokio_supervised::prometheus::text();
        assert!(!all.lines().any(|line| line.ends_with("} 77")), "{all}");
        drop(pool);
    });
}
