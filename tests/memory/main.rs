//! Memory grows with the limit, not with the input: a separate program, since it counts the allocations of the
//! whole process.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    future::Future,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use futures::stream;
use tokio::task::yield_now;
use tokio_supervised::{CancellationToken, Pool, TaskError, map, map_stream, supervised};

/// Counts the bytes that are allocated now, and their maximum.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed to the system's allocator unchanged; the counting allocates nothing.
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
    yield_now().await;
    Ok(())
}

/// How many items pass between two samples of the peak.
const FEW: usize = 10_000;

/// The maximum of bytes since the last sample, after every few items.
struct Peaks(Vec<usize>);

impl Peaks {
    fn of(items: usize) -> Self {
        Self(Vec::with_capacity(items / FEW + 1))
    }

    fn at(&mut self, before: usize, item: usize) {
        if item % FEW == 0 && item > 0 {
            let peak = PEAK.swap(LIVE.load(Relaxed), Relaxed);
            self.0.push(peak.saturating_sub(before));
        }
    }
}

/// The peaks of a map over this many items, whose results have no size.
async fn peaks_of(items: usize) -> Vec<usize> {
    let mut peaks = Peaks::of(items);
    let (sender, receiver) = std::sync::mpsc::channel();
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let pages = (0..=items).map(move |item| {
        peaks.at(before, item);
        if item == items {
            sender.send(std::mem::take(&mut peaks.0)).expect("the receiver is alive");
        }
        vec![0; 1024]
    });
    let results = map(&CancellationToken::new(), pages, work).await.expect("no item fails");
    assert_eq!(results.len(), items + 1);
    receiver.recv().expect("the last item was read")
}

#[supervised(limit = 64, name = "memory: stream")]
async fn pass(page: Vec<u8>) -> Result<Vec<u8>, TaskError> {
    yield_now().await;
    Ok(page)
}

/// Which end of a stream waits now and then.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slow {
    Consumer,
    Producer,
}

/// How many items pass between two waits.
const BETWEEN_WAITS: usize = 50;

/// The peaks of a stream of this many items.
async fn peaks_of_a_stream(items: usize, is_ordered: bool, slow: Slow) -> Vec<usize> {
    let mut peaks = Peaks::of(items);
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let (mut read, mut waits) = (0, 0);
    let pages = stream::poll_fn(move |cx| {
        if slow == Slow::Producer && read % BETWEEN_WAITS == 0 && waits < 20 {
            waits += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        waits = 0;
        read += 1;
        Poll::Ready((read <= items + 1).then(|| vec![0; 1024]))
    });
    let passing = map_stream(&CancellationToken::new(), pages, pass);
    let mut results = if is_ordered { passing.results() } else { passing.unordered() };
    let mut taken = 0;
    while let Some(page) = results.next().await {
        assert_eq!(page.expect("no item fails").len(), 1024);
        peaks.at(before, taken);
        taken += 1;
        if slow == Slow::Consumer && taken % BETWEEN_WAITS == 0 {
            for _ in 0..200 {
                yield_now().await;
            }
        }
    }
    assert_eq!(taken, items + 1);
    peaks.0
}

/// A map that is dropped after many items keeps no places for the results that were returned.
async fn compare_dropped(items: usize) {
    let never_ends = std::iter::repeat_with(|| vec![0; 1024]);
    let mut results = map(&CancellationToken::new(), never_ends, pass).results();
    for _ in 0..items {
        _ = results.next().await;
    }
    PEAK.store(LIVE.load(Relaxed), Relaxed);
    let before = LIVE.load(Relaxed);
    drop(results);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let grown = PEAK.load(Relaxed).saturating_sub(before);
    println!("peak of the drop after {items} results: {grown} bytes");
    assert!(grown < 1_000_000, "the drop reserved places for {items} results: {grown} bytes");
}

#[supervised(name = "memory: pool")]
async fn in_a_pool(_page: Vec<u8>) -> Result<(), TaskError> {
    yield_now().await;
    Ok(())
}

/// The peaks of a pool while this many tasks ran in it.
async fn peaks_of_a_pool(tasks: usize) -> Vec<usize> {
    let mut peaks = Peaks::of(tasks);
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let pool = Pool::new(64);
    for task in 0..=tasks {
        peaks.at(before, task);
        pool.spawn(|token| in_a_pool(token, vec![0; 1024])).await.expect("the pool is open");
    }
    pool.drain(Duration::from_secs(600)).await.expect("no task is stuck");
    peaks.0
}

/// Makes pools that are stopped with one token, drops them, and asserts that they leave nothing behind.
fn stopped_pools_leave_nothing() {
    const POOLS: usize = 1_000;
    let token = CancellationToken::new();
    let make = || (0..POOLS).for_each(|_| drop(Pool::new(4).stop_with(&token).name("memory")));
    // One-time allocations of the process are made now.
    make();
    let before = LIVE.load(Relaxed);
    make();
    let after = LIVE.load(Relaxed);
    println!("{POOLS} pools on one token: {before} bytes before, {after} after");
    assert_eq!(after, before, "dropped pools leave memory behind");
}

/// The resident memory of the process, in bytes; `None` if the system does not report it.
fn resident() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// Few items, many times, then many items at once. The median of the peaks counts: a thread that the system
/// suspends lets results pile up behind its own.
async fn compare<F: Future<Output = Vec<usize>>>(
    what: &str,
    many: usize,
    peaks: impl Fn(usize) -> F,
) {
    // One-time allocations of the process are made now.
    peaks(FEW).await;
    let mut of_few = Vec::new();
    for _ in 0..20 {
        of_few.extend(peaks(FEW).await);
    }
    let resident_before = resident();
    let of_many = peaks(many).await.split_off(many / FEW / 2);
    let (of_few, of_many) = (middle(of_few), middle(of_many));
    println!("peak of a {what} of 64: {of_few} bytes for {FEW} items, {of_many} for {many}");
    let bound = of_few + of_few / 20;
    assert!(of_many <= bound, "memory grows with the input: {of_many} > {bound}");
    if let (Some(before), Some(after)) = (resident_before, resident()) {
        println!("resident: {before} bytes after {FEW}, {after} after {many}");
        // The measurement includes the results of a map, and pages that the allocator keeps.
        if what != "map" {
            assert!(after <= before + before / 20, "{after} > {before} + 5 %");
        }
    }
}

fn middle(mut peaks: Vec<usize>) -> usize {
    peaks.sort_unstable();
    peaks[peaks.len() / 2]
}

fn main() {
    // `cargo test --release -p supervised-tests --test memory -- 10000000` measures the figure of the design;
    // `-- 10000000 stream` that of the streams alone.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let items = arguments.iter().find_map(|argument| argument.parse().ok());
    let only_streams = arguments.iter().any(|argument| argument == "stream");
    // Before there are other threads, which allocate too.
    stopped_pools_leave_nothing();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the runtime starts");
    runtime.block_on(async {
        if !only_streams {
            compare("map", items.unwrap_or(1_000_000), peaks_of).await;
            compare("pool", items.unwrap_or(300_000), peaks_of_a_pool).await;
        }
        for (what, is_ordered, slow) in [
            ("stream (results, slow consumer)", true, Slow::Consumer),
            ("stream (results, slow producer)", true, Slow::Producer),
            ("stream (unordered, slow consumer)", false, Slow::Consumer),
            ("stream (unordered, slow producer)", false, Slow::Producer),
        ] {
            let items = items.unwrap_or(100_000);
            compare(what, items, |items| peaks_of_a_stream(items, is_ordered, slow)).await;
        }
        compare_dropped(items.unwrap_or(100_000)).await;
    });
    println!("{} passed, 0 failed", if only_streams { 6 } else { 8 });
}
