//! Programs in which something is permanently broken: the hook, the allocator, the result of main.

#[path = "../../process/programs/common.rs"]
mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fmt,
    process::ExitCode,
    ptr,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use common::{say, wanted};
use tokio_supervised::{CancellationToken, Group, Pool, TaskError, map, stats, supervised, tasks};

/// The system's allocator, until it refuses one request.
struct Refusing;

/// How many requests are granted before one is refused; by default more than there can be.
static GRANTED: AtomicUsize = AtomicUsize::new(usize::MAX);

fn is_refused() -> bool {
    GRANTED.load(SeqCst) != usize::MAX && GRANTED.fetch_sub(1, SeqCst) == 0
}

// SAFETY: a granted request is passed to the system's allocator; null reports a failed one.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_refused() {
            return ptr::null_mut();
        }
        // SAFETY: the caller's contract is that of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

#[supervised(name = "work", limit = 2)]
async fn work(n: u32) -> Result<u32, TaskError> {
    tokio::task::yield_now().await;
    Ok(n)
}

#[supervised(name = "panics")]
async fn panics() -> Result<(), TaskError> {
    panic!("the body")
}

/// Runs every kind of spawn with the request of that number refused; prints how many requests there were.
async fn spawns(refused: usize) {
    let token = CancellationToken::new();
    work(&token, 1).await.expect("it cannot fail");
    GRANTED.store(refused, SeqCst);
    let group = Group::new(&token).limit(2);
    for n in 0..3 {
        group.spawn(move |token| work(token, n)).await;
    }
    let joined = group.join().await;
    let mapped = map(&token, 0..3, work).limit(2).settled().await;
    let pool = Pool::new(1);
    let slot = pool.reserve().await.expect("the gate or pool is open");
    slot.spawn(|token| work(token, 1));
    pool.spawn(|token| work(token, 2)).await.expect("the gate or pool is open");
    let drained = pool.drain(Duration::from_secs(60)).await;
    let left = GRANTED.swap(usize::MAX, SeqCst);
    assert_eq!(joined.expect("none can fail"), [0, 1, 2]);
    assert_eq!(mapped.len(), 3);
    drained.expect("they end by themselves");
    let [work] = &stats()[..] else { panic!("one function") };
    assert_eq!((work.started, work.running, work.waiting), (9, 0, 0));
    assert!(tasks().is_empty());
    if left > refused {
        say("REFUSED");
    }
    say("DONE");
}

/// An error that panics when it is printed.
struct Unprintable;

impl fmt::Debug for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("unprintable")
    }
}

impl From<TaskError> for Unprintable {
    fn from(_: TaskError) -> Self {
        Self
    }
}

#[supervised::main]
async fn returns_an_error() -> Result<(), Unprintable> {
    tokio::task::yield_now().await;
    Err(Unprintable)
}

#[supervised::main(flavor = "current_thread")]
async fn panics_under_a_hook_that_panics() {
    std::panic::set_hook(Box::new(|_| panic!("the hook")));
    say("READY");
    let token = CancellationToken::new();
    let group = Group::new(&token);
    group.spawn(panics).await;
    _ = group.join().await;
    say("DONE");
}

fn main() -> ExitCode {
    let wanted = wanted();
    match wanted.as_str() {
        "an error that panics" => std::process::Termination::report(returns_an_error()),
        "a hook that panics" => {
            std::process::Termination::report(panics_under_a_hook_that_panics())
        }
        refused => {
            let refused = refused.parse().expect("the argument is the number of a request");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be created").block_on(spawns(refused));
            ExitCode::SUCCESS
        }
    }
}
