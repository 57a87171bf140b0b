//! Groups, pools and a map that live as long as the soak, on a separate runtime, beside the rounds.
//!
//! Their functions have separate names and counters, which are compared once, at the end.

use std::{
    collections::HashMap,
    future::{Future, pending},
    iter::repeat_with,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    task::{JoinHandle, JoinSet, yield_now},
    time::{sleep, timeout},
};
use tokio_supervised::{
    CancellationToken, Group, GroupHandle, LeakCheck, Outcome, Pool, TaskError, TrySpawnError, map,
    recent_panics, set_limit, shield, stats, supervised, task, tasks,
};

use crate::{
    PATIENCE,
    blocked::of_workers,
    counters::{self, Account, Entry},
    work::{THROWN, end},
};
use testkit::{Failed, random::Random};

/// The prefix of the names of everything that runs here.
pub(crate) const PREFIX: &str = "soak: lasting";
const CALL: &str = "soak: lasting call";
const WORKERS: usize = 2;
/// Concurrent runs of the map.
const ITEMS: usize = 4;

/// How many spawns were accepted, and how many items the map has read. Each spawn must become a run.
#[derive(Default)]
struct Accepted {
    members: AtomicU64,
    /// Members of the groups that the relay hands on.
    relayed: AtomicU64,
    jobs: AtomicU64,
    blocks: AtomicU64,
    generations: AtomicU64,
    items: AtomicU64,
}

/// The state of a feeder: when to stop, its counters, and its random numbers.
struct Feed {
    stop: CancellationToken,
    accepted: Arc<Accepted>,
    random: Random,
}

pub(crate) struct Lasting {
    runtime: tokio::runtime::Runtime,
    check: LeakCheck,
    stop: CancellationToken,
    feeders: JoinSet<()>,
    endless: JoinHandle<Result<Vec<()>, Failed>>,
    group: Group<(), Failed>,
    pool: Pool,
    relay: Pool,
    accepted: Arc<Accepted>,
}

impl Lasting {
    pub(crate) fn start(random: &mut Random) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime =
            of_workers(&mut { runtime }).worker_threads(WORKERS).enable_all().build().unwrap();
        let entered = runtime.enter();
        let check = LeakCheck::new();
        let stop = CancellationToken::new();
        let accepted = Arc::new(Accepted::default());
        let group = Group::new(&CancellationToken::new()).limit(32);
        let (pool, relay) = (Pool::new(16), Pool::new(64));
        let mut feeders = JoinSet::new();
        let feed = |random: &mut Random| Feed {
            stop: stop.clone(),
            accepted: accepted.clone(),
            random: random.fork(),
        };
        for _ in 0..2 {
            feeders.spawn(feed_group(group.handle(), feed(random)));
        }
        for _ in 0..3 {
            feeders.spawn(feed_pool(pool.clone(), feed(random)));
        }
        feeders.spawn(restart(feed(random)));
        feeders.spawn(read(stop.clone(), random.fork()));
        feeders.spawn(start_relay(relay.clone(), feed(random)));
        let endless = tokio::spawn(endless(feed(random)));
        drop(entered);
        Self { runtime, check, stop, feeders, endless, group, pool, relay, accepted }
    }

    pub(crate) fn runtime(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Stops the feeders, waits for all accepted work, and checks that nothing is left.
    pub(crate) fn end(self) {
        let Self { runtime, check, stop, mut feeders, endless, group, pool, relay, accepted } =
            self;
        runtime.block_on(async {
            stop.cancel();
            while let Some(ended) = feeders.join_next().await {
                ended.expect("no panic reaches a feeder");
            }
            let mapped = endless.await.expect("no panic reaches the caller of the map");
            let cancelled = matches!(mapped, Err(Failed::Task(TaskError::Cancelled(_))));
            assert!(cancelled, "the endless map ended before it was stopped");
            // A generation spawns the next one before it ends.
            while !relay.is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
            relay.drain(PATIENCE).await.expect("the relay has ended");
            pool.drain(PATIENCE).await.expect("each job has its timeout");
            let values = timeout(PATIENCE, group.join()).await.expect("each member ends");
            let values = values.expect("no member fails").len() as u64;
            while tasks().iter().any(|task| is_lasting(task.name))
                || counters::anything_runs(counters::LASTING)
            {
                yield_now().await;
            }
            counters::balance(counters::LASTING);
            let count = |count: &AtomicU64| count.load(Relaxed);
            let (members, relayed) = (count(&accepted.members), count(&accepted.relayed));
            assert_eq!(values, members, "a value of each member");
            let runs = [
                ("members", members + relayed, &counters::LASTING_MEMBERS),
                ("jobs", count(&accepted.jobs), &counters::LASTING_JOBS),
                ("blocks", count(&accepted.blocks), &counters::LASTING_BLOCKS),
                ("generations", count(&accepted.generations), &counters::LASTING_GENERATIONS),
            ];
            for (what, accepted, account) in runs {
                assert_eq!(accepted, counters::started(account), "accepted {what}, and runs");
            }
            // The token may fire between the read of an item and its run.
            let (read, runs) =
                (count(&accepted.items), counters::started(&counters::LASTING_ITEMS));
            assert!(runs <= read && read <= runs + ITEMS as u64, "{read} items, {runs} runs");
            check.verify().await.expect("nothing is left");
        });
    }
}

pub(crate) fn is_lasting(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// One group throughout the soak: constant spawns through handles, of tasks that do not fail.
async fn feed_group(group: GroupHandle<(), Failed>, mut feed: Feed) {
    while !feed.stop.is_cancelled() {
        let part = feed.random.fork();
        group.spawn(move |token| member(token, part)).await.expect("the group accepts all spawns");
        feed.accepted.members.fetch_add(1, Relaxed);
        yield_now().await;
    }
}

/// One pool throughout the soak, through clones of its handle; its tasks end in every way.
async fn feed_pool(pool: Pool, mut feed: Feed) {
    while !feed.stop.is_cancelled() {
        let part = feed.random.fork();
        let jobs = &feed.accepted.jobs;
        match feed.random.below(8) {
            0 => {
                pool.set_limit(1 + feed.random.below(16)).expect("the limit is not 0");
            }
            1 => {
                let work = move |_| blocks(part);
                let spawned = pool.spawn_blocking("soak: lasting blocks", work).await;
                spawned.expect("the pool is open");
                feed.accepted.blocks.fetch_add(1, Relaxed);
            }
            2 | 3 => match pool.try_spawn(move |token| job(token, part)) {
                Ok(_) => _ = jobs.fetch_add(1, Relaxed),
                Err(TrySpawnError::Full) => {}
                Err(error) => panic!("the pool is open: {error}"),
            },
            4 | 5 => {
                let slot = pool.clone().reserve().await.expect("the pool is open");
                yield_now().await;
                // Every other slot is released unused.
                if feed.random.below(2) == 0 {
                    slot.spawn(move |token| job(token, part));
                    jobs.fetch_add(1, Relaxed);
                }
            }
            _ => {
                pool.spawn(move |token| job(token, part)).await.expect("the pool is open");
                jobs.fetch_add(1, Relaxed);
            }
        }
        yield_now().await;
    }
}

async fn restart(mut feed: Feed) {
    while !feed.stop.is_cancelled() {
        counters::LASTING_RESTARTED.calls.fetch_add(1, Relaxed);
        let runs = Arc::new(AtomicU64::new(feed.random.next()));
        _ = restarted(CancellationToken::new(), runs).await;
    }
}

/// Reads the crate's reports, checks that no counter decreases, and changes a limit.
async fn read(stop: CancellationToken, mut random: Random) {
    let mut before = HashMap::new();
    while !stop.is_cancelled() {
        _ = (tasks().to_string(), recent_panics());
        for task in stats() {
            let ended: u64 = Outcome::ALL.into_iter().map(|outcome| task.ended(outcome)).sum();
            let (started, ended_before) =
                before.insert((task.name, task.place), (task.started, ended)).unwrap_or_default();
            let decreased = task.started < started || ended < ended_before;
            assert!(!decreased, "from {started} started, {ended_before} ended: {task:?}");
        }
        // Only a function that has run has a limit that can be changed.
        _ = set_limit(CALL, 1 + random.below(8));
        sleep(Duration::from_millis(5)).await;
    }
}

async fn endless(mut feed: Feed) -> Result<Vec<()>, Failed> {
    let items = repeat_with(move || {
        feed.accepted.items.fetch_add(1, Relaxed);
        feed.random.fork()
    });
    map(&feed.stop, items, item).limit(ITEMS).await
}

type Boxed = Pin<Box<dyn Future<Output = Result<(), Failed>> + Send>>;

async fn start_relay(relay: Pool, feed: Feed) {
    hand_on(&relay.clone(), None, feed).await;
}

async fn hand_on(relay: &Pool, group: Option<Group<(), Failed>>, feed: Feed) {
    feed.accepted.generations.fetch_add(1, Relaxed);
    let into = relay.clone();
    let next = task!("soak: lasting generation", |token| -> Result<(), Failed> {
        generation(into, token, group, feed).await
    });
    relay.spawn(next).await.expect("the relay is open");
}

/// Joins the group of the previous generation, creates one, and passes it to the next generation, which it spawns.
fn generation(
    relay: Pool,
    token: CancellationToken,
    before: Option<Group<(), Failed>>,
    mut feed: Feed,
) -> Boxed {
    Box::pin(async move {
        let entry = Entry::new(&counters::LASTING_GENERATIONS);
        if let Some(group) = before {
            group.join().await.expect("no member fails");
        }
        let group = Group::new(&token);
        for _ in 0..feed.random.below(4) {
            let part = feed.random.fork();
            group.spawn(move |token| member(token, part)).await;
            feed.accepted.relayed.fetch_add(1, Relaxed);
        }
        if feed.stop.is_cancelled() {
            group.join().await.expect("no member fails");
        } else {
            hand_on(&relay, Some(group), feed).await;
        }
        entry.ends(Outcome::Ok);
        Ok(())
    })
}

/// A member of a group that must not fail, although the function that it calls does.
#[supervised(name = "soak: lasting member")]
async fn member(token: &CancellationToken, random: Random) -> Result<(), Failed> {
    let entry = Entry::new(&counters::LASTING_MEMBERS);
    _ = call(token, random).await;
    entry.ends(Outcome::Ok);
    Ok(())
}

#[supervised(name = "soak: lasting item")]
async fn item(token: &CancellationToken, random: Random) -> Result<(), Failed> {
    let entry = Entry::new(&counters::LASTING_ITEMS);
    _ = call(token, random).await;
    entry.ends(Outcome::Ok);
    Ok(())
}

#[supervised(name = "soak: lasting call", limit = 8, timeout = "5ms")]
async fn call(random: Random) -> Result<u64, Failed> {
    act(&counters::LASTING_CALLS, random).await
}

#[supervised(name = "soak: lasting job", timeout = "5ms")]
async fn job(random: Random) -> Result<u64, Failed> {
    act(&counters::LASTING_JOBS, random).await
}

#[supervised(name = "soak: lasting section")]
async fn section(mut random: Random) -> Result<u64, Failed> {
    let entry = Entry::new(&counters::LASTING_SECTIONS);
    yield_now().await;
    entry.ends(Outcome::Ok);
    Ok(random.next())
}

/// One panic in 50, at a steady rate, and errors, timeouts and sections.
async fn act(account: &'static Account, mut random: Random) -> Result<u64, Failed> {
    let entry = Entry::new(account);
    if random.below(4) == 0 {
        yield_now().await;
    }
    match random.below(100) {
        0 | 1 => {
            entry.ends(Outcome::Panicked);
            panic!("{THROWN}");
        }
        2..5 => {
            entry.ends(Outcome::Error);
            return Err(Failed::own(0));
        }
        5 => pending().await,
        6..15 => {
            let part = random.fork();
            _ = shield(Duration::from_millis(20), |token| section(token, part)).await;
        }
        _ => {}
    }
    entry.ends(Outcome::Ok);
    Ok(random.next())
}

fn blocks(mut random: Random) -> Result<u64, Failed> {
    let entry = Entry::new(&counters::LASTING_BLOCKS);
    end(entry, random.below(50), random.next())
}

#[supervised(
    name = "soak: lasting restarted",
    timeout = "5ms",
    restart = "on-failure",
    backoff = "1ms..2ms",
    max_restarts = "3/1h"
)]
async fn restarted(runs: Arc<AtomicU64>) -> Result<u64, Failed> {
    let entry = Entry::new(&counters::LASTING_RESTARTED);
    let run = runs.fetch_add(1, Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    yield_now().await;
    end(entry, (run % 5) as usize, run)
}
