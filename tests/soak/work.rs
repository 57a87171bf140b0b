//! The functions that run: each acts as its part of the seed says.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{task::yield_now, time::sleep};
use tokio_supervised::{CancellationToken, Outcome, shield, supervised};

use crate::counters::{self, Account, Entry};
use testkit::{Failed, random::Random};

/// The message of panics.
pub(crate) const THROWN: &str = "a drawn panic";

/// A body: some turns, then one of the ways to end.
async fn act(account: &'static Account, mut random: Random) -> Result<u64, Failed> {
    let entry = Entry::new(account);
    for _ in 0..random.below(4) {
        yield_now().await;
    }
    match random.below(100) {
        0 => {
            entry.ends(Outcome::Panicked);
            panic!("{THROWN}");
        }
        1..4 => {
            entry.ends(Outcome::Error);
            return Err(Failed::own(0));
        }
        // Until its timeout or an earlier event.
        4 => pending().await,
        5 => sleep(Duration::from_millis(1)).await,
        6..10 => {
            let part = random.fork();
            // However the section ends, the body continues.
            _ = shield(Duration::from_millis(20), |token| section(token, part)).await;
        }
        _ => {}
    }
    entry.ends(Outcome::Ok);
    Ok(random.next())
}

#[supervised(name = "soak: section")]
async fn section(mut random: Random) -> Result<u64, Failed> {
    let entry = Entry::new(&counters::SECTIONS);
    for _ in 0..random.below(4) {
        yield_now().await;
    }
    entry.ends(Outcome::Ok);
    Ok(random.next())
}

#[supervised(name = "soak: call", limit = 8, on_full = "reject", timeout = "5ms")]
pub(crate) async fn call(random: Random) -> Result<u64, Failed> {
    act(&counters::CALLS, random).await
}

#[supervised(name = "soak: item", limit = 6, timeout = "5ms")]
pub(crate) async fn item(random: Random) -> Result<u64, Failed> {
    act(&counters::ITEMS, random).await
}

#[supervised(name = "soak: job", limit = 12, timeout = "5ms")]
pub(crate) async fn job(random: Random) -> Result<u64, Failed> {
    act(&counters::JOBS, random).await
}

/// A closure on its own thread, which cannot be interrupted.
pub(crate) fn blocks(account: &'static Account, mut random: Random) -> Result<u64, Failed> {
    let entry = Entry::new(account);
    std::thread::yield_now();
    end(entry, random.below(50), random.next())
}

/// One of the outcomes: a panic, an error, or success.
pub(crate) fn end(entry: Entry, way: usize, value: u64) -> Result<u64, Failed> {
    match way {
        0 => {
            entry.ends(Outcome::Panicked);
            panic!("{THROWN}");
        }
        1 => {
            entry.ends(Outcome::Error);
            Err(Failed::own(0))
        }
        _ => {
            entry.ends(Outcome::Ok);
            Ok(value)
        }
    }
}

/// The body of a `task!`.
pub(crate) async fn foreign(random: Random) -> Result<u64, Failed> {
    act(&counters::FOREIGN, random).await
}

/// It ends by itself: once cancelled, it takes no more turns.
#[supervised(name = "soak: member", timeout = "5ms", grace = "2ms")]
pub(crate) async fn member(token: &CancellationToken, mut random: Random) -> Result<u64, Failed> {
    if random.below(4) > 0 {
        return act(&counters::MEMBERS, random).await;
    }
    let entry = Entry::new(&counters::MEMBERS);
    while !token.is_cancelled() && random.below(20) > 0 {
        yield_now().await;
    }
    entry.ends(Outcome::Ok);
    Ok(0)
}

#[supervised(
    name = "soak: restarted",
    limit = 4,
    timeout = "5ms",
    restart = "on-failure",
    backoff = "1ms..2ms",
    max_restarts = "3/1h"
)]
pub(crate) async fn restarted(runs: Arc<AtomicU64>) -> Result<u64, Failed> {
    let entry = Entry::new(&counters::RESTARTED);
    // Each run continues with the random numbers of the previous one.
    let run = runs.fetch_add(1, Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    yield_now().await;
    end(entry, (run % 5) as usize, run)
}
