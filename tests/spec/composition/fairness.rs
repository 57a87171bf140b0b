//! A wait for two resources is admitted in bounded time.
//!
//! A spawn that needs a slot of its scope and a permit of its function keeps its place in both queues. After 8
//! missed turns it holds one of them for a bounded time: 10 ms at first, and twice as long each time.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::{JoinSet, yield_now},
    time::{Instant, sleep, timeout},
};
use tokio_supervised::{
    CancellationToken, Group, Pool, SpawnError, TaskError, set_limit, supervised,
};

use testkit::finishes;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);

type Tasks = Group<(), TaskError>;

/// A function with one permit, separate for each test, since tests run in parallel.
macro_rules! limited {
    ($name:ident) => {
        #[supervised(limit = 1)]
        async fn $name(lasts: Duration) -> Result<(), TaskError> {
            sleep(lasts).await;
            Ok(())
        }
    };
}

#[supervised]
async fn other(lasts: Duration) -> Result<(), TaskError> {
    sleep(lasts).await;
    Ok(())
}

#[supervised]
async fn turn() -> Result<(), TaskError> {
    yield_now().await;
    Ok(())
}

/// How long a spawn waits for the slot of a group and the permit of `limited`, which are both under constant load.
macro_rules! waits_beside_others {
    ($limited:ident, $slot_for:expr, $permit_for:expr) => {
        waits_beside_others!($limited, $slot_for, $permit_for, Duration::ZERO)
    };
    // The first run with a slot starts later than the first one with a permit.
    ($limited:ident, $slot_for:expr, $permit_for:expr, $later:expr) => {{
        let token = CancellationToken::new();
        let group: Tasks = Group::new(&token).limit(1);
        let mut others = JoinSet::new();
        for _ in 0..2 {
            let (token, handle) = (token.clone(), group.handle());
            others.spawn(async move { while $limited(&token, $permit_for).await.is_ok() {} });
            others.spawn(async move {
                sleep($later).await;
                loop {
                    _ = handle.spawn(|token| other(token, $slot_for)).await;
                }
            });
        }
        sleep($later + 100 * MS).await;
        let started = Instant::now();
        let spawned = timeout(HOUR, group.spawn(|token| $limited(token, MS))).await;
        assert!(spawned.is_ok(), "not admitted within an hour");
        started.elapsed()
    }};
}

#[tokio::test(start_paused = true)]
async fn a_spawn_is_admitted_while_slot_and_permit_stay_taken() {
    limited!(hot);
    let waited = waits_beside_others!(hot, 10 * MS, 10 * MS);
    // 8 turns of 5 ms, then one hold, or a few.
    assert!(waited < 300 * MS, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_spawn_is_admitted_however_long_the_others_run() {
    limited!(even);
    limited!(in_turns);
    limited!(slow_slots);
    limited!(slow_permits);
    limited!(odd);
    let second = 1_000 * MS;
    for (waited, longest) in [
        (waits_beside_others!(even, second, second), second),
        // Never free within one hold of 10 ms.
        (waits_beside_others!(in_turns, second, second, second / 2), second),
        (waits_beside_others!(slow_slots, 60 * second, 10 * MS), 60 * second),
        (waits_beside_others!(slow_permits, 10 * MS, 60 * second), 60 * second),
        (waits_beside_others!(odd, 7 * second, 11 * second), 11 * second),
    ] {
        // 8 turns and a pause between two holds, and fewer than 14 doublings until a hold lasts a minute.
        assert!(waited < 100 * longest, "{waited:?} beside runs of {longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pool_spawn_is_admitted_while_slot_and_permit_stay_taken() {
    limited!(hot);
    let (token, pool) = (CancellationToken::new(), Pool::new(1));
    let mut others = JoinSet::new();
    for _ in 0..2 {
        let (token, pool) = (token.clone(), pool.clone());
        others.spawn(async move { while hot(&token, 10 * MS).await.is_ok() {} });
        others
            .spawn(async move { while pool.spawn(|token| other(token, 10 * MS)).await.is_ok() {} });
    }
    sleep(100 * MS).await;
    let spawned = timeout(300 * MS, pool.spawn(|token| hot(token, MS))).await;
    assert!(spawned.expect("admitted in time").is_ok());
}

/// A held permit cannot be released while its run waits for a slot that the spawn holds.
#[tokio::test(start_paused = true)]
async fn a_run_with_the_permit_spawns_into_the_group_of_a_waiter() {
    #[supervised(limit = 1)]
    async fn feeds(
        into: Option<tokio_supervised::GroupHandle<(), TaskError>>,
    ) -> Result<(), TaskError> {
        for _ in 0..1_000 {
            let Some(into) = &into else { break };
            _ = into.spawn(|token| other(token, MS)).await;
        }
        Ok(())
    }

    let token = CancellationToken::new();
    let group: Tasks = Group::new(&token).limit(1);
    let (feeder, handle) = (token.clone(), group.handle());
    let feeder = tokio::spawn(async move { feeds(&feeder, Some(handle)).await });
    sleep(10 * MS).await;
    let started = Instant::now();
    let spawned = timeout(HOUR, group.spawn(|token| feeds(token, None)));
    assert!(spawned.await.is_ok(), "a deadlock");
    assert!(feeder.await.unwrap().is_ok());
    // 1,000 spawns of 1 ms, and holds as long as the pauses.
    assert!(started.elapsed() < 3_000 * MS, "{:?}", started.elapsed());
    assert!(group.join().await.is_ok());
}

/// Two scopes need their resources in both orders: tasks that hold a slot call the function, and spawns wait for
/// both.
#[test]
fn scopes_and_functions_that_need_each_other_finish() {
    #[supervised(limit = 2)]
    async fn first(yields: u32) -> Result<(), TaskError> {
        for _ in 0..yields {
            yield_now().await;
        }
        Ok(())
    }

    #[supervised(limit = 1)]
    async fn second(yields: u32) -> Result<(), TaskError> {
        for _ in 0..yields {
            yield_now().await;
        }
        Ok(())
    }

    #[supervised]
    async fn calls_both(token: &CancellationToken, n: u32) -> Result<(), TaskError> {
        if n % 2 == 0 {
            first(token, n % 5).await?;
        }
        second(token, n % 3).await
    }

    finishes(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let token = CancellationToken::new();
            let groups: [Tasks; 2] = [3, 1].map(|limit| Group::new(&token).limit(limit));
            let mut producers = JoinSet::new();
            for (producer, group) in groups
                .iter()
                .enumerate()
                .flat_map(|(at, group)| [(2 * at, group.handle()), (2 * at + 1, group.handle())])
            {
                producers.spawn(async move {
                    for n in 0..2_000_u32 {
                        match (n + u32::try_from(producer).unwrap()) % 4 {
                            0 => _ = group.spawn(move |token| first(token, n % 4)).await,
                            1 => _ = group.spawn(move |token| second(token, n % 3)).await,
                            2 => {
                                // Dropped at any stage of its wait.
                                let spawn = group.spawn(move |token| second(token, n % 3));
                                _ = timeout(Duration::from_micros(n.into()), spawn).await;
                            }
                            _ => {
                                let called = move |token| calls_both_owned(token, n);
                                _ = group.spawn(called).await;
                            }
                        }
                    }
                });
            }
            while let Some(ended) = producers.join_next().await {
                ended.unwrap();
            }
            for group in groups {
                group.join().await.unwrap();
            }
            // Every permit has been released.
            let both =
                async { tokio::join!(first(&token, 1), first(&token, 1), second(&token, 1)) };
            let (one, two, three) = timeout(60 * 1_000 * MS, both).await.unwrap();
            assert!(one.is_ok() && two.is_ok() && three.is_ok());
        });
    });

    #[supervised(name = "fairness: calls both")]
    async fn calls_both_owned(token: &CancellationToken, n: u32) -> Result<(), TaskError> {
        calls_both(token, n).await
    }
}

/// A spawn that is dropped while it holds a slot or a permit returns it.
#[tokio::test(start_paused = true)]
async fn a_dropped_spawn_returns_its_slot_or_permit() {
    limited!(hot);
    let token = CancellationToken::new();
    let group: Tasks = Group::new(&token).limit(1);
    let long = tokio::spawn({
        let token = token.clone();
        async move { hot(&token, HOUR).await }
    });
    yield_now().await;
    let mut waits = Box::pin(group.spawn(|token| hot(token, MS)));
    assert!(poll(&mut waits).is_pending());
    // It misses turns until it holds the slot, which no one else can then acquire.
    for turn in 0..20 {
        let spawns = group.spawn(|token| other(token, MS));
        if timeout(5 * MS, spawns).await.is_err() {
            assert_eq!(turn, 8, "missed turns before it holds the slot");
            drop(waits);
            timeout(MS, group.spawn(|token| other(token, MS))).await.expect("it is free");
            long.abort();
            return;
        }
        sleep(2 * MS).await;
    }
    panic!("it has not held the slot");
}

/// A wait for one resource is not overtaken by waits for two.
#[tokio::test(start_paused = true)]
async fn a_wait_for_only_a_permit_overtakes_a_spawn_without_a_slot() {
    limited!(hot);
    let token = CancellationToken::new();
    let group: Tasks = Group::new(&token).limit(1);
    _ = group.spawn(|token| other(token, HOUR)).await;
    let first = tokio::spawn({
        let token = token.clone();
        async move { hot(&token, 10 * MS).await }
    });
    yield_now().await;
    // Ahead of the call in the queue for the permits, but without a slot for an hour.
    let mut spawn = Box::pin(group.spawn(|token| hot(token, MS)));
    assert!(poll(&mut spawn).is_pending());
    assert!(timeout(20 * MS, hot(&token, MS)).await.is_ok());
    first.await.unwrap().unwrap();
}

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A runtime without timers has none for holds: a spawn is admitted when both are free, and nothing hangs.
#[test]
fn a_spawn_that_waits_for_both_needs_no_timer() {
    #[supervised(limit = 1)]
    async fn gated(gate: Arc<Notify>) -> Result<(), TaskError> {
        gate.notified().await;
        Ok(())
    }

    finishes(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (token, gate) = (CancellationToken::new(), Arc::new(Notify::new()));
            let group: Tasks = Group::new(&token).limit(1);
            let (running, opens) = (token.clone(), gate.clone());
            let long = tokio::spawn(async move { gated(&running, opens).await });
            yield_now().await;
            let (handle, opens) = (group.handle(), gate.clone());
            let spawn = tokio::spawn(async move {
                _ = handle.spawn(move |token| gated(token, opens)).await;
            });
            for _ in 0..100 {
                _ = group.spawn(turn).await;
                yield_now().await;
                assert!(!spawn.is_finished());
            }
            gate.notify_one();
            long.await.unwrap().unwrap();
            spawn.await.unwrap();
            gate.notify_one();
            group.join().await.unwrap();
        });
    });
}

/// A `select!` by reference keeps a spawn that it no longer polls.
#[tokio::test(start_paused = true)]
async fn a_join_does_not_wait_for_an_unpolled_spawn() {
    for cancels in [false, true] {
        let token = CancellationToken::new();
        let group: Tasks = Group::new(&token).limit(1);
        let handle = group.handle();
        _ = group.spawn(|token| other(token, 100 * MS)).await;
        let mut held = Box::pin(handle.spawn(|token| other(token, MS)));
        assert!(timeout(50 * MS, &mut held).await.is_err());
        if cancels {
            token.cancel();
        }
        let joined = timeout(5_000 * MS, group.join()).await.expect("the join ends");
        assert_eq!(joined.is_err(), cancels, "{joined:?}");
        let refused = held.await;
        assert_eq!(refused.map(drop), Err(SpawnError::Joined));
    }
}

/// Each poll returns in bounded time, however long the wait is.
#[tokio::test(start_paused = true)]
async fn a_join_waits_for_a_spawn_that_is_polled() {
    limited!(hot);
    let token = CancellationToken::new();
    let group: Tasks = Group::new(&token);
    let (running, handle) = (token.clone(), group.handle());
    let long = tokio::spawn(async move { hot(&running, HOUR).await });
    yield_now().await;
    let spawns = tokio::spawn(async move { handle.spawn(|token| hot(token, MS)).await });
    yield_now().await;
    // Queued behind it.
    let handle = group.handle();
    let mut held = Box::pin(handle.spawn(|token| hot(token, MS)));
    assert!(poll(&mut held).is_pending());
    let started = Instant::now();
    assert_eq!(group.join().await.unwrap().len(), 1);
    assert!(started.elapsed() >= HOUR, "{:?}", started.elapsed());
    assert_eq!(spawns.await.unwrap().map(drop), Ok(()));
    assert_eq!(held.await.map(drop), Err(SpawnError::Joined));
    long.await.unwrap().unwrap();
}

/// Changes a limit when it is woken and when it is dropped.
struct Meddler {
    limited: &'static str,
    inside: AtomicBool,
}

impl Meddler {
    fn waker(limited: &'static str) -> Waker {
        Waker::from(Arc::new(Self { limited, inside: AtomicBool::new(false) }))
    }

    fn meddle(&self) {
        // Changes the limit of all of them: a larger limit grants a permit to the wait whose waker is dropped.
        static SETS: AtomicUsize = AtomicUsize::new(0);
        if !self.inside.swap(true, SeqCst) {
            set_limit(self.limited, 1 + SETS.fetch_add(1, SeqCst) % 3).unwrap();
            self.inside.store(false, SeqCst);
        }
    }
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        self.meddle();
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.meddle();
    }
}

/// A waker that runs its task inline, which is legal.
struct Inline(Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);

impl Inline {
    fn run(self: &Arc<Self>) {
        let taken = self.0.lock().unwrap().take();
        if let Some(mut task) = taken {
            let waker = self.clone().into();
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                *self.0.lock().unwrap() = Some(task);
            }
        }
    }
}

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        self.run();
    }
}

#[test]
fn a_task_that_is_woken_by_a_new_limit_may_change_it() {
    #[supervised(limit = 1, name = "fairness: inline")]
    async fn one(holds: bool) -> Result<(), TaskError> {
        if holds {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    finishes(|| {
        let token = CancellationToken::new();
        let mut holder = Box::pin(one(token.clone(), true));
        assert!(poll(&mut holder).is_pending());
        let task = Arc::new(Inline(Mutex::new(None)));
        *task.0.lock().unwrap() = Some(Box::pin(async move {
            one(&token, false).await.unwrap();
            set_limit("fairness: inline", 3).unwrap();
        }));
        task.run();
        set_limit("fairness: inline", 2).unwrap();
        assert!(task.0.lock().unwrap().is_none(), "the task has ended");
    });
}

/// No waker of a wait is woken, replaced or dropped under a lock that a resize takes.
#[test]
fn wakers_that_change_the_limit_they_wait_for_do_not_deadlock() {
    #[supervised(limit = 1, name = "fairness: meddled")]
    async fn one() -> Result<(), TaskError> {
        std::future::pending().await
    }

    type Wait = Pin<Box<dyn Future<Output = ()>>>;
    const NAME: &str = "fairness: meddled";

    finishes(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        for waits_for_slots in [false, true] {
            for rounds in 0..4 {
                let token = CancellationToken::new();
                let group: Tasks = Group::new(&token).limit(1);
                let (handle, pool) = (group.handle(), Pool::new(1));
                let mut holder = Box::pin(one(&token));
                let polled = poll(&mut holder);
                assert!(polled.is_pending());
                set_limit(NAME, 1).unwrap();
                if waits_for_slots {
                    assert!(poll(&mut Box::pin(group.spawn(turn))).is_ready());
                    assert!(poll(&mut Box::pin(pool.spawn(turn))).is_ready());
                }
                let (called, into) = (token.clone(), pool.clone());
                let mut waits: Vec<Wait> = vec![
                    Box::pin(async move { _ = one(&called).await }),
                    Box::pin(async move { _ = handle.spawn(one).await }),
                    Box::pin(async move { _ = into.spawn(one).await }),
                    Box::pin(async move { drop(pool.reserve().await) }),
                ];
                // Each poll has a new waker and drops the previous one.
                for _ in 0..rounds {
                    let pending = |wait: &mut Wait| {
                        let waker = Meddler::waker(NAME);
                        wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
                    };
                    waits.retain_mut(pending);
                }
                set_limit(NAME, 3).unwrap();
                drop(holder);
                drop(waits);
            }
        }
    });
}

/// Each released permit goes to the first spawn, without a walk over the queues of all other groups.
#[test]
fn a_returned_permit_costs_no_more_if_many_groups_wait() {
    limited!(hot);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let [few, many] = [250, 8_000].map(|groups| {
        let token = CancellationToken::new();
        let mut holder = Box::pin(hot(&token, HOUR));
        assert!(poll(&mut holder).is_pending());
        let groups: Vec<Tasks> = (0..groups).map(|_| Group::new(&token).limit(1)).collect();
        let spawn = |group| Box::pin(Group::spawn(group, |token| hot(token, MS)));
        let mut waits: VecDeque<_> = groups.iter().map(spawn).collect();
        assert!(waits.iter_mut().all(|wait| poll(wait).is_pending()));
        // The first spawn has the permit from now on, and passes it on when it is dropped.
        drop(holder);
        let passes = (0..200).map(|_| {
            let started = std::time::Instant::now();
            drop(waits.pop_front());
            started.elapsed()
        });
        passes.min().unwrap()
    });
    // If each release cost a walk over all groups, it would be 32 times as much.
    assert!(many < 10 * few, "{few:?}, and {many:?} beside 8,000 groups");
}
