//! Everything at once at full load, in rounds, for some seconds, or for as long as `MINUTES=15` says.
//!
//! Each round makes a pool, lets drivers loose that draw what to do next, stops them, drains the pool, and then
//! holds that
//!
//! 1. the books balance: what was counted inside the bodies, and by those who called, is what `stats()` tells;
//! 2. nothing is left: no live task, no task that the [`LeakCheck`] does not know from before;
//! 3. memory is flat: what is resident at the end is what was resident after the warm-up, and 5 %.
//!
//! `SEED=…` draws the same plan again; how its parts meet is the scheduler's. A watchdog ends a round that hangs.

#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "the drivers stand outside of what they drive")]

mod books;
mod drive;
#[allow(dead_code, reason = "other tests need the rest")]
#[path = "../support/random.rs"]
mod random;
mod work;

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tokio_supervised::{CancellationToken, LeakCheck, Pool, tasks};

use crate::random::Random;

const DRIVERS: usize = 24;
/// Of the rounds, those before this part are warm-up.
const WARM_UP: u32 = 5;
/// At the most, for the drivers to come to each function.
const MORE_ROUNDS: u32 = 50;
/// A round's work is stopped and ends by itself within milliseconds: it hangs where it takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// For a small process 5 % are less than what a thread's first allocations take.
const LEAST_SLACK: usize = 2 << 20;

#[test]
fn a_service_under_full_load_keeps_its_books_and_its_memory() {
    // Ten thousands of panics are to come. The hook of the crate calls the one before it.
    std::panic::set_hook(Box::new(|info| {
        let info = info.to_string();
        if !info.ends_with(work::THROWN) {
            eprintln!("{info}");
        }
    }));
    let minutes: Option<u32> = std::env::var("MINUTES").ok().and_then(|text| text.parse().ok());
    let (rounds, length) = match minutes {
        Some(minutes) => (minutes * 6, Duration::from_secs(10)),
        None => (10, Duration::from_millis(400)),
    };
    let mut random = Random::from_environment();
    let watchdog = Watchdog::over(length + PATIENCE);
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(4).enable_all().build().unwrap();
    let begun = Instant::now();
    let mut after_warm_up = None;
    for number in 1..=rounds {
        runtime.block_on(round(&mut random, length));
        watchdog.alive();
        if number == rounds.div_ceil(WARM_UP) {
            after_warm_up = resident();
        }
        if minutes.is_some() {
            println!("round {number} of {rounds}: {}", books::totals(begun.elapsed()));
        }
    }
    // Under a sanitizer a round does little.
    for _ in 0..MORE_ROUNDS {
        if books::each_has_run() {
            break;
        }
        runtime.block_on(round(&mut random, length));
        watchdog.alive();
    }
    assert!(books::each_has_run(), "the drivers never came to some function");
    println!("{}", books::totals(begun.elapsed()));
    let (Some(before), Some(after)) = (after_warm_up, resident()) else { return };
    println!("resident: {before} bytes after the warm-up, {after} at the end");
    // Where a sanitizer keeps its notes in it, it tells nothing.
    if std::env::var_os("RESIDENT").is_some_and(|told| told == "ignored") {
        return;
    }
    let slack = if minutes.is_some() { before / 20 } else { LEAST_SLACK.max(before / 20) };
    assert!(after <= before + slack, "memory grows: {after} > {before} + {slack}");
}

async fn round(random: &mut Random, length: Duration) {
    let check = LeakCheck::new();
    let pool = Pool::new(16);
    let stop = CancellationToken::new();
    let mut drivers = JoinSet::new();
    for _ in 0..DRIVERS {
        drivers.spawn(drive::until(stop.clone(), pool.clone(), random.fork()));
    }
    tokio::time::sleep(length).await;
    stop.cancel();
    while let Some(ended) = drivers.join_next().await {
        ended.expect("no panic gets as far as a driver");
    }
    pool.drain(PATIENCE).await.expect("each task of the pool has its timeout");
    // What was dropped or aborted ends by itself.
    while !tasks().is_empty() || books::anything_runs() {
        tokio::task::yield_now().await;
    }
    books::balance();
    check.verify().await.expect("nothing is left");
}

/// Ends the process where no round has ended for too long, and tells what was alive.
struct Watchdog(mpsc::Sender<()>);

impl Watchdog {
    fn over(longest: Duration) -> Self {
        let (alive, heard) = mpsc::channel();
        thread::spawn(move || {
            loop {
                match heard.recv_timeout(longest) {
                    Ok(()) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        eprintln!("a round hangs:\n{}\n{}", tasks(), books::told());
                        std::process::abort();
                    }
                }
            }
        });
        Self(alive)
    }

    fn alive(&self) {
        self.0.send(()).expect("the watchdog listens");
    }
}

/// What the process has in memory, in bytes; none where nobody tells.
fn resident() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
