//! Memory that grows with the limit, not with the input: a program of its own, since it counts what the
//! whole process allocates.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio_supervised::{CancellationToken, TaskError, map, supervised};

/// Counts the bytes that are allocated now, and the most that ever were.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; the counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller's contract is that of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[supervised(limit = 64, name = "memory")]
async fn work(_page: Vec<u8>) -> Result<(), TaskError> {
    tokio::task::yield_now().await;
    Ok(())
}

/// The most bytes that a map over so many items had at once, its results aside.
async fn peak_of(items: usize) -> usize {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let pages = (0..items).map(|_| vec![0; 1024]);
    let results = map(&CancellationToken::new(), pages, work).await.expect("no item fails");
    assert_eq!(results.len(), items);
    // The results double their place as they grow: the old and the new one are there at once.
    let place = items.next_power_of_two() * size_of::<Option<()>>();
    (PEAK.load(Relaxed) - before).saturating_sub(place + place / 2)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the runtime starts");
    let (few, many) = runtime.block_on(async {
        // What is allocated once for the process is allocated now.
        peak_of(10_000).await;
        // The peak is lower where the results happen to grow while few pages are there: the highest counts.
        let mut few = 0;
        for _ in 0..20 {
            few = few.max(peak_of(10_000).await);
        }
        (few, peak_of(1_000_000).await)
    });
    println!("peak of a map with limit 64: {few} bytes for 10,000 items, {many} for 1,000,000");
    let bound = few + few / 20;
    assert!(many <= bound, "memory grows with the input: {many} > {bound}");
    println!("1 passed, 0 failed");
}
