//! All operations at once under full load, in rounds, for some seconds, or for as long as `MINUTES=15` says.
//!
//! Each round creates a pool, starts drivers that draw their operations, stops them, drains the pool, and then
//! asserts that
//!
//! 1. the counters agree: those of the bodies and callers equal those of `stats()`;
//! 2. nothing is left: no live task, and nothing that the [`LeakCheck`] did not know before.
//!
//! Beside the rounds, on a separate runtime, `lasting` runs a group, pools, a map and a relay of groups that live
//! as long as the soak. At its end 1 and 2 hold for those too; every accepted spawn has become a run; and
//!
//! 3. memory is flat: the last third of the soak has no more bytes allocated than the first third after the
//!    warm-up, plus a tolerance.
//!
//! The long form also watches for blocked polls, provokes some, and suspends the process meanwhile: see `blocked`.
//!
//! `SEED=…` draws the same plan again; the interleaving depends on the scheduler. A watchdog ends a round that
//! hangs.

#![allow(clippy::unwrap_used)]
#![expect(
    clippy::disallowed_methods,
    reason = "the drivers are plain tasks outside of supervision"
)]

mod allocated;
mod blocked;
mod counters;
mod drive;
mod lasting;
mod work;

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tokio_supervised::{CancellationToken, LeakCheck, Pool, tasks};

use crate::{blocked::Watched, lasting::Lasting};
use testkit::random::Random;

const DRIVERS: usize = 24;
/// The rounds before this fraction are warm-up.
const WARM_UP: u32 = 5;
const SAMPLES_A_ROUND: u32 = 10;
/// The maximum time for the drivers to reach each function.
const MORE_ROUNDS: u32 = 50;
/// A round's work is stopped and ends by itself within milliseconds: a round that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// By how many bytes the median of allocated bytes may grow from the first third of the samples to the last third.
///
/// About 0.4 MB are allocated at steady load, for any length of the soak. Buffers that keep their maximum
/// capacity grow without a leak: one step of some 50 KB was seen in 5,000,000 runs. A leak of 16 bytes in each run
/// of one function exceeds the tolerance after 16,000 runs between the thirds: the busiest functions reach that in
/// the quick form, and each outcome does in three minutes.
const SLACK: usize = 256 << 10;
/// The factor by which the median of resident memory may grow.
///
/// It detects what no allocation shows: the stacks of threads. It is a factor since the system's allocator keeps
/// some 20 times the allocated bytes, in an arena for each thread, which grew by a fourth in three minutes.
const RESIDENT_FACTOR: usize = 2;
/// In each third: fewer samples are inconclusive.
const LEAST_SAMPLES: usize = 5;

#[test]
fn a_service_under_full_load_has_exact_counters_and_no_leak() {
    // Tens of thousands of panics follow. The hook of the crate calls the previous one.
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
    let runtime =
        blocked::of_workers(&mut { runtime }).worker_threads(4).enable_all().build().unwrap();
    let started = Instant::now();
    let lasting = Lasting::start(&mut random);
    let is_watched = minutes.is_some() && cfg!(target_os = "linux");
    let watched = is_watched.then(|| Watched::start(lasting.runtime(), &mut random));
    let mut samples = Samples::default();
    for number in 1..=rounds {
        runtime.block_on(round(&mut random, length, &mut samples, number > rounds / WARM_UP));
        watchdog.alive();
        if minutes.is_some() {
            println!("round {number} of {rounds}: {}", counters::totals(started.elapsed()));
            println!("{} bytes allocated, {:?} resident", allocated::bytes(), resident());
        }
    }
    // Under a sanitizer a round does little.
    for _ in 0..MORE_ROUNDS {
        if counters::each_has_run() {
            break;
        }
        runtime.block_on(round(&mut random, length, &mut samples, false));
        watchdog.alive();
    }
    assert!(counters::each_has_run(), "every function has run");
    if let Some(watched) = watched {
        watched.end();
    }
    lasting.end();
    watchdog.alive();
    assert!(tasks().is_empty(), "nothing is left:\n{}", tasks());
    println!("{}", counters::totals(started.elapsed()));
    samples.are_flat();
}

/// With `counts`, resident memory is sampled meanwhile.
async fn round(random: &mut Random, length: Duration, samples: &mut Samples, counts: bool) {
    let check = LeakCheck::new();
    let pool = Pool::new(16);
    let stop = CancellationToken::new();
    let mut drivers = JoinSet::new();
    for _ in 0..DRIVERS {
        drivers.spawn(drive::until(stop.clone(), pool.clone(), random.fork()));
    }
    for _ in 0..SAMPLES_A_ROUND {
        tokio::time::sleep(length / SAMPLES_A_ROUND).await;
        if counts {
            samples.take();
        }
    }
    stop.cancel();
    while let Some(ended) = drivers.join_next().await {
        ended.expect("no panic reaches a driver");
    }
    pool.drain(PATIENCE).await.expect("each task of the pool has its timeout");
    // Dropped or aborted tasks end by themselves.
    while tasks().iter().any(|task| !lasting::is_lasting(task.name))
        || counters::anything_runs(counters::ROUND)
    {
        tokio::task::yield_now().await;
    }
    counters::balance(counters::ROUND);
    check.verify().await.expect("nothing is left");
}

/// Ends the process if no round has ended for too long, and prints what was alive.
struct Watchdog(mpsc::Sender<()>);

impl Watchdog {
    fn over(longest: Duration) -> Self {
        let (alive, receiver) = mpsc::channel();
        thread::spawn(move || {
            loop {
                match receiver.recv_timeout(longest) {
                    Ok(()) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        eprintln!("a round hangs:\n{}\n{}", tasks(), counters::report());
                        std::process::abort();
                    }
                }
            }
        });
        Self(alive)
    }

    fn alive(&self) {
        self.0.send(()).expect("the watchdog is alive");
    }
}

/// Allocated and resident bytes, and the number of runs so far.
#[derive(Default)]
struct Samples {
    allocated: Vec<usize>,
    resident: Vec<usize>,
    runs: Vec<u64>,
}

impl Samples {
    fn take(&mut self) {
        self.allocated.push(allocated::bytes());
        self.resident.extend(resident());
        self.runs.push(counters::all_started());
    }

    fn are_flat(&self) {
        let (first, last) = thirds(&self.allocated).expect("each round is sampled");
        let runs = self.runs[self.runs.len() - 1] - self.runs[0];
        println!("allocated: {first} bytes in the first third, {last} in the last, {runs} runs");
        assert!(last <= first + SLACK, "memory grows: {last} > {first} + {SLACK}, {runs} runs");
        if let Some((first, last)) = thirds(&self.resident) {
            println!("resident: {first} bytes in the first third, {last} in the last");
            // A sanitizer keeps its own data in it.
            let ignored = std::env::var_os("RESIDENT").is_some_and(|value| value == "ignored");
            assert!(ignored || last <= first * RESIDENT_FACTOR, "memory grows: {last} > {first}");
        }
    }
}

/// The medians of the first third and of the last: a single sample includes momentary allocations. `None` for too
/// few samples.
fn thirds<T: Copy + Ord>(samples: &[T]) -> Option<(T, T)> {
    let third = samples.len() / 3;
    let median = |samples: &[T]| {
        let mut samples = samples.to_vec();
        samples.sort_unstable();
        samples[samples.len() / 2]
    };
    let (first, last) = (&samples[..third], &samples[samples.len() - third..]);
    (third >= LEAST_SAMPLES).then(|| (median(first), median(last)))
}

/// The resident memory of the process, in bytes; `None` if the system does not report it.
fn resident() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
