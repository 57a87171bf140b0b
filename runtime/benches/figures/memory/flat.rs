//! The most bytes at once while many items go through, against few: row 6.
//!
//! The peak depends on how the threads take turns, and a thread that the system halts for a while lets results
//! wait that belong behind its own. So the peak of every 10,000 items is taken, and the middle of them: of many
//! runs over few items, and of the second half of one run over many.

use std::{future::Future, time::Duration};

use tokio::{runtime::Runtime, task::yield_now};
use tokio_supervised::{CancellationToken, Pool, TaskError, map, supervised};

use crate::{
    bytes::{self, Watch},
    report::{self, Goal},
    settings::Settings,
    spread::Ratio,
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

/// The peaks of each few of the items, the last one at the end.
struct Peaks(Vec<f64>);

impl Peaks {
    fn of(items: usize) -> Self {
        Self(Vec::with_capacity(items / FEW + 1))
    }

    fn at(&mut self, item: usize) {
        if item % FEW == 0 && item > 0 {
            self.0.push(bytes::next_peak());
        }
    }
}

async fn peaks_of_a_map(items: usize) -> Vec<f64> {
    let (mut peaks, tell) = (Peaks::of(items), std::sync::mpsc::channel());
    let _watch = Watch::begin();
    let pages = (0..=items).map(move |item| {
        peaks.at(item);
        if item == items {
            _ = tell.0.send(std::mem::replace(&mut peaks, Peaks(Vec::new())));
        }
        vec![0; 1024]
    });
    let results = map(&CancellationToken::new(), pages, mapped).await.expect("no item fails");
    // A `()` has no size: the results take no memory.
    assert_eq!(results.len(), items + 1);
    tell.1.recv().expect("the last item was read").0
}

async fn peaks_of_a_pool(items: usize) -> Vec<f64> {
    let mut peaks = Peaks::of(items);
    let _watch = Watch::begin();
    let pool = Pool::new(LIMIT);
    for item in 0..=items {
        peaks.at(item);
        pool.spawn(|token| pooled(token, vec![0; 1024])).await.expect("the pool is open");
    }
    pool.drain(Duration::from_secs(600)).await.expect("no task is stuck");
    peaks.0
}

pub(crate) fn run(settings: &Settings) {
    let many = if settings.quick { 1_000_000 } else { 10_000_000 };
    report::row(6, &format!("the most bytes at once, limit {LIMIT}: {many} items against {FEW}"));
    let runtime = settings.all_cores();
    compare("map", &runtime, many, peaks_of_a_map);
    compare("Pool", &runtime, many, peaks_of_a_pool);
}

fn compare<F: Future<Output = Vec<f64>>>(
    what: &str,
    runtime: &Runtime,
    many: usize,
    peaks: impl Fn(usize) -> F,
) {
    // One-time allocations of the process happen now.
    runtime.block_on(peaks(FEW));
    let of_few: Vec<_> = (0..20).flat_map(|_| runtime.block_on(peaks(FEW))).collect();
    let of_many = runtime.block_on(peaks(many)).split_off(many / FEW / 2);
    let (of_few, of_many) = (middle(of_few), middle(of_many));
    // Every run holds its page.
    assert!(of_few > 1024.0 && of_many > 1024.0, "less than a page at once is no measurement");
    report::bytes(&format!("{what}: {FEW} items"), of_few);
    report::bytes(&format!("{what}: {many} items"), of_many);
    let ratio = Ratio::exactly(of_many / of_few);
    report::ratio(&format!("{what}: many to few"), &ratio, Goal::AtMost(1.05));
}

fn middle(mut peaks: Vec<f64>) -> f64 {
    peaks.sort_by(f64::total_cmp);
    peaks[peaks.len() / 2]
}
