//! The most bytes at once while many items go through, against few: row 6.

use std::{future::Future, time::Duration};

use tokio::{runtime::Runtime, task::yield_now};
use tokio_supervised::{CancellationToken, Pool, TaskError, map, supervised};

use crate::{
    bytes::Watch,
    report::{self, Goal},
    settings::Settings,
    spread::Spread,
};

const LIMIT: usize = 64;
const FEW: usize = 10_000;

#[supervised(limit = LIMIT)]
async fn mapped(_page: Vec<u8>) -> Result<(), TaskError> {
    yield_now().await;
    Ok(())
}

#[supervised]
async fn pooled(_page: Vec<u8>) -> Result<(), TaskError> {
    yield_now().await;
    Ok(())
}

async fn peak_of_a_map(items: usize) -> f64 {
    let watch = Watch::begin();
    let pages = (0..items).map(|_| vec![0; 1024]);
    let results = map(&CancellationToken::new(), pages, mapped).await.expect("no item fails");
    assert_eq!(results.len(), items);
    // A `()` has no size: the results take no place.
    watch.peak()
}

async fn peak_of_a_pool(items: usize) -> f64 {
    let watch = Watch::begin();
    let pool = Pool::new(LIMIT);
    for _ in 0..items {
        pool.spawn(|token| pooled(token, vec![0; 1024])).await.expect("the pool is open");
    }
    pool.drain(Duration::from_secs(600)).await.expect("no task is stuck");
    watch.peak()
}

pub(crate) fn run(settings: &Settings) {
    let many = if settings.quick { 1_000_000 } else { 10_000_000 };
    report::row(6, &format!("the most bytes at once, limit {LIMIT}: {many} items against {FEW}"));
    let runtime = settings.all_cores();
    compare("map", &runtime, many, peak_of_a_map);
    compare("Pool", &runtime, many, peak_of_a_pool);
}

/// The peak depends on how the threads take turns: of the few items, the highest of many looks counts.
fn compare<F: Future<Output = f64>>(
    what: &str,
    runtime: &Runtime,
    many: usize,
    peak: impl Fn(usize) -> F,
) {
    // What is allocated once for the process is allocated now.
    runtime.block_on(peak(FEW));
    let of_few = (0..20).map(|_| runtime.block_on(peak(FEW))).fold(0.0, f64::max);
    let of_many = runtime.block_on(peak(many));
    // Every run holds its page.
    assert!(of_few > 1024.0 && of_many > 1024.0, "less than a page at once is no measurement");
    report::bytes(&format!("{what}: {FEW} items"), of_few);
    report::bytes(&format!("{what}: {many} items"), of_many);
    let ratio = Spread::exactly(of_many / of_few);
    report::ratio(&format!("{what}: many to few"), &ratio, &Goal::at_most(1.05));
}
