//! The output of the exporters, read by its real consumers: a strict parser, third-party recorders and SDKs, and a
//! Prometheus server.
//!
//! All tests share the counters of one process: each uses unique function names.
#![allow(clippy::unwrap_used)]

mod facade;
mod otel;
mod page;
mod pools;
mod promtool;
mod server;
mod services;
mod text;
mod tool;

use std::{collections::BTreeMap, time::Duration};

/// A name with labels, and the value.
type Samples = BTreeMap<(String, BTreeMap<String, String>), f64>;

/// Longer than anything takes here on a machine under load.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Runs it on this thread with a time limit.
fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(WATCHDOG, future).await.expect("it ends in time") })
}

/// The series of one function, service or pool.
fn of(name: &str, samples: Samples) -> Samples {
    let is_it = |labels: &BTreeMap<String, String>| {
        ["task", "service", "pool"].iter().any(|key| labels.get(*key).is_some_and(|of| of == name))
    };
    samples.into_iter().filter(|((_, labels), _)| is_it(labels)).collect()
}

/// The value of one series.
fn value(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    samples.get(&(name.into(), labels)).copied()
}
