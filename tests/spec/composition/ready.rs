//! Every public async operation returns `Pending` now and then.
//!
//! `rows` has a row for each public future and each public function that is awaited; `tests/spec/house/ready.rs` compares
//! it with the public API. A row is one operation that is ready at once, driven in a loop that never ends by itself.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    rc::Rc,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    time::Duration,
};

use futures::stream::empty;
use tokio::{
    runtime::Builder,
    task::{LocalSet, yield_now},
    time::{Instant, timeout},
};
use tokio_supervised::{
    CancellationToken, Group, GroupHandle, LeakCheck, Outcome, Pool, Results, Services,
    SupervisedFuture, TaskError, map, map_stream, shield, supervised, within,
};

use testkit::finishes;

const SECOND: Duration = Duration::from_secs(1);

/// How long each loop is driven.
const WHILE: Duration = Duration::from_millis(20);

type Loop = Pin<Box<dyn Future<Output = Infallible>>>;

struct Row {
    name: &'static str,
    forever: Box<dyn Fn() -> Loop>,
}

fn row<S, F>(name: &'static str, setup: fn() -> S, operation: fn(Rc<S>) -> F) -> Row
where
    S: 'static,
    F: Future<Output = ()> + 'static,
{
    let forever = move || -> Loop {
        Box::pin(async move {
            let state = Rc::new(setup());
            loop {
                operation(state.clone()).await;
            }
        })
    };
    Row { name, forever: Box::new(forever) }
}

#[supervised]
async fn quick() -> Result<(), TaskError> {
    Ok(())
}

#[supervised(restart = "on-failure")]
async fn restarting() -> Result<(), TaskError> {
    Ok(())
}

/// Its clone panics.
struct Uncloned;

impl Clone for Uncloned {
    fn clone(&self) -> Self {
        std::panic::resume_unwind(Box::new("no clone is made"))
    }
}

#[supervised(every = "1s")]
async fn ticking(_: Uncloned) -> Result<(), TaskError> {
    Ok(())
}

/// The closure of a spawn that panics.
fn unmade(token: CancellationToken) -> impl SupervisedFuture<Value = (), Error = TaskError> {
    if !token.is_cancelled() {
        std::panic::resume_unwind(Box::new("no run is made"));
    }
    quick(token)
}

type Tasks = Group<(), TaskError>;

fn live() -> CancellationToken {
    CancellationToken::new()
}

fn fired() -> CancellationToken {
    let token = CancellationToken::new();
    token.cancel();
    token
}

fn group() -> Tasks {
    Group::new(&live())
}

fn refusing() -> Tasks {
    Group::new(&fired())
}

/// A handle whose group has been dropped.
fn handle() -> GroupHandle<(), TaskError> {
    group().handle()
}

/// A pool that is never full here.
fn pool() -> Pool {
    Pool::new(usize::MAX)
}

fn closed() -> Pool {
    let pool = Pool::new(1);
    // The loops before this may have used up the budget.
    let drain = tokio::task::unconstrained(pool.drain(SECOND));
    assert!(futures::FutureExt::now_or_never(drain).unwrap().is_ok());
    pool
}

type Streamed = RefCell<Results<(), TaskError>>;

fn streaming() -> Streamed {
    map(&live(), std::iter::repeat(()), |token, ()| quick(token)).results().into()
}

fn ended() -> Streamed {
    map(&live(), None, |token, ()| quick(token)).unordered().into()
}

#[expect(clippy::await_holding_refcell_ref, reason = "one loop at a time uses the results")]
fn rows() -> Vec<Row> {
    // No macro: `tests/spec/house/ready.rs` reads the calls of `row`.
    Vec::from([
        row("Supervised", live, |token| async move { quick(&*token).await.unwrap() }),
        row("Supervised (refused)", fired, |token| async move { _ = quick(&*token).await }),
        row("Supervised::err_into", live, |token| async move {
            quick(&*token).err_into::<std::io::Error>().await.unwrap();
        }),
        row("ErrInto", fired, |token| async move {
            _ = quick(&*token).err_into::<std::io::Error>().await;
        }),
        row("Restarting", live, |token| async move { restarting(&*token).await.unwrap() }),
        row("Restarting (refused)", fired, |token| async move { _ = restarting(&*token).await }),
        row("Restarting (no clone)", live, |token| async move {
            _ = ticking(&*token, Uncloned).await;
        }),
        row("Restarting::err_into", live, |token| async move {
            restarting(&*token).err_into::<std::io::Error>().await.unwrap();
        }),
        row("Supervised::timeout", live, |token| async move {
            quick(&*token).timeout(SECOND).await.unwrap();
        }),
        row("Supervised::grace", live, |token| async move {
            quick(&*token).grace(SECOND).await.unwrap();
        }),
        row("Supervised::label", live, |token| async move {
            quick(&*token).label("x").await.unwrap();
        }),
        row("Supervised::boxed", live, |token| async move {
            quick((*token).clone()).boxed().await.unwrap();
        }),
        row("Tuned", fired, |token| async move { _ = quick(&*token).label("x").await }),
        row("Tuned::timeout", live, |token| async move {
            quick(&*token).label("x").timeout(SECOND).await.unwrap();
        }),
        row("Tuned::grace", live, |token| async move {
            quick(&*token).label("x").grace(SECOND).await.unwrap();
        }),
        row("Tuned::label", live, |token| async move {
            quick(&*token).grace(SECOND).label("x").await.unwrap();
        }),
        row("Tuned::err_into", live, |token| async move {
            quick(&*token).label("x").err_into::<std::io::Error>().await.unwrap();
        }),
        row("Tuned::boxed", live, |token| async move {
            restarting((*token).clone()).label("x").boxed().await.unwrap();
        }),
        row("BoxedTask", fired, |token| async move {
            _ = restarting((*token).clone()).boxed().await;
        }),
        row("BoxedTask::err_into", live, |token| async move {
            quick((*token).clone()).boxed().err_into::<std::io::Error>().await.unwrap();
        }),
        row("Restarting::boxed", live, |token| async move {
            restarting((*token).clone()).boxed().await.unwrap();
        }),
        row("ErrInto::boxed", live, |token| async move {
            quick((*token).clone()).err_into::<std::io::Error>().boxed().await.unwrap();
        }),
        row("within", live, |token| async move {
            within(&token, SECOND, |_| ready(Ok::<_, TaskError>(()))).await.unwrap();
        }),
        row("Within", fired, |token| async move {
            within(&token, Duration::ZERO, |_| ready(())).await;
        }),
        row("map", live, |token| async move {
            map(&token, std::iter::empty(), |token, ()| quick(token)).await.unwrap();
        }),
        row("Map", fired, |token| async move {
            _ = map(&token, std::iter::empty(), |token, ()| quick(token)).await;
        }),
        row("Map::settled", live, |token| async move {
            map(&token, std::iter::empty(), |token, ()| quick(token)).settled().await;
        }),
        row("map_stream", live, |token| async move {
            map_stream(&token, empty::<()>(), |token, ()| quick(token)).await.unwrap();
        }),
        row("Results::next", streaming, |results| async move {
            results.try_borrow_mut().unwrap().next().await.unwrap().unwrap();
        }),
        row("Results::next (ended)", ended, |results| async move {
            assert!(results.try_borrow_mut().unwrap().next().await.is_none());
        }),
        row("Settled", fired, |token| async move {
            map(&token, std::iter::empty(), |token, ()| quick(token)).settled().await;
        }),
        row("shield", live, |_| shield(SECOND, |_| ready(()))),
        row("Shield", live, |_| async { shield(Duration::ZERO, |_| ready(())).await }),
        row("Group::spawn", refusing, |group| async move {
            _ = group.spawn(quick).await;
        }),
        row("Spawn", live, |token| async move {
            // Each in a new group, since a group keeps its results.
            let group: Tasks = Group::new(&token);
            _ = group.spawn(quick).await;
        }),
        row("Services::run", live, |token| async move {
            Services::new(&token).run().await.unwrap();
        }),
        row("ServicesHandle::start", live, |token| async move {
            let handle = Services::new(&token).handle();
            _ = handle.start("late", quick).await;
        }),
        row("ServicesHandle::stop", live, |token| async move {
            let handle = Services::new(&token).handle();
            _ = handle.stop("none").await;
        }),
        row("Group::spawn_local", refusing, |group| async move {
            _ = group.spawn_local(quick).await;
        }),
        row("Group::spawn_blocking", refusing, |group| async move {
            _ = group.spawn_blocking("ready: blocking", |_| Ok(())).await;
        }),
        row("Blocking", refusing, |group| async move {
            _ = group.spawn_blocking("ready: blocking too", |_| Ok(())).await;
        }),
        row("Group::join", live, |token| async move { drop(Tasks::new(&token).join().await) }),
        row("Group::join (cancelled)", fired, |token| async move {
            drop(Tasks::new(&token).join().await);
        }),
        row("GroupHandle::spawn", handle, |handle| async move {
            _ = handle.spawn(quick).await;
        }),
        row("HandleSpawn", refusing, |group| async move {
            _ = group.handle().spawn(quick).await;
        }),
        row("GroupHandle::spawn_local", handle, |handle| async move {
            _ = handle.spawn_local(quick).await;
        }),
        row("GroupHandle::spawn_blocking", handle, |handle| async move {
            _ = handle.spawn_blocking("ready: handle", |_| Ok(())).await;
        }),
        row("Pool::spawn", pool, |pool| async move {
            pool.spawn(quick).await.unwrap();
        }),
        row("PoolSpawn", closed, |pool| async move {
            _ = pool.spawn(quick).await.unwrap_err();
        }),
        row("Pool::spawn_local", closed, |pool| async move {
            _ = pool.spawn_local(quick).await.unwrap_err();
        }),
        row("Pool::spawn_blocking", closed, |pool| async move {
            let work = |_: CancellationToken| Ok::<_, TaskError>(());
            _ = pool.spawn_blocking("ready: pool", work).await.unwrap_err();
        }),
        row("Pool::try_spawn", pool, |pool| async move {
            pool.try_spawn(quick).unwrap().await.unwrap();
        }),
        row("Slot::spawn", pool, |pool| async move {
            pool.reserve().await.unwrap().spawn(quick).await.unwrap();
        }),
        row("PoolTask", pool, |pool| async move {
            _ = pool.try_spawn(unmade).unwrap().await.unwrap_err();
        }),
        row(
            "TaskHandle::ended",
            || pool().try_spawn(quick).unwrap().handle(),
            |handle| async move {
                _ = handle.ended().await;
            },
        ),
        row("Pool::reserve", pool, |pool| async move { drop(pool.reserve().await.unwrap()) }),
        row("Pool::reserve (closed)", closed, |pool| async move {
            drop(pool.reserve().await.unwrap_err());
        }),
        row("Pool::drain", pool, |pool| async move { _ = pool.drain(SECOND).await }),
        row("LeakCheck::verify", LeakCheck::new, |check| async move { _ = check.verify().await }),
    ])
}

/// Drives a body on a current-thread runtime; fails if it never yields.
fn on_one_thread<F: Future<Output = ()>>(body: impl FnOnce() -> F + Send + 'static) {
    finishes(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(LocalSet::new().run_until(body()));
    });
}

/// One at a time: the loops use the whole machine.
#[test]
fn each_public_future_in_a_loop_lets_timers_and_tasks_run() {
    for index in 0..rows().len() {
        on_one_thread(move || async move {
            let Row { name, forever } = rows().swap_remove(index);
            let ticks = Rc::new(Cell::new(0_u32));
            let ticker = tokio::task::spawn_local({
                let ticks = ticks.clone();
                async move {
                    loop {
                        ticks.set(ticks.get() + 1);
                        yield_now().await;
                    }
                }
            });
            println!("{name}");
            // A long operation may use up the time in one poll: the watchdog ends what never yields.
            while ticks.get() < 2 {
                assert!(timeout(WHILE, forever()).await.is_err());
            }
            ticker.abort();
        });
    }
}

/// A body that neither ends nor lets its runtime end it.
#[supervised(name = "ready: in a run", grace = "20ms", on_cancel = "cooperate")]
async fn endless(forever: Loop) -> Result<(), TaskError> {
    match forever.await {}
}

#[test]
fn the_grace_of_a_run_ends_a_loop_over_each_public_future() {
    for index in 0..rows().len() {
        on_one_thread(move || async move {
            let Row { name, forever } = rows().swap_remove(index);
            println!("{name}");
            let token = CancellationToken::new();
            let cancel = async {
                tokio::time::sleep(WHILE).await;
                token.cancel();
            };
            let (ended, ()) = tokio::join!(endless(&token, forever()), cancel);
            assert_eq!(ended.unwrap_err().outcome(), Outcome::Cancelled, "{name}");
        });
    }
}

/// A shielded section, and a call within a call, use the budget of their task.
#[test]
fn a_loop_within_a_call_and_a_section_is_ended_by_its_timeout() {
    #[supervised(name = "ready: outer", timeout = "20ms")]
    async fn outer(token: &CancellationToken) -> Result<(), TaskError> {
        loop {
            shield(SECOND, |_| async { _ = inner(token).await }).await;
        }
    }

    #[supervised(name = "ready: inner")]
    async fn inner(token: &CancellationToken) -> Result<(), TaskError> {
        let group: Tasks = Group::new(token);
        group.spawn(quick).await;
        group.join().await.map(drop)
    }

    on_one_thread(|| async {
        let ended = outer(&live()).await.unwrap_err();
        assert_eq!(ended.outcome(), Outcome::TimedOut);
    });
}

#[test]
fn a_retry_loop_around_a_failed_group_ends_within_its_grace() {
    #[supervised(name = "ready: session")]
    async fn session() -> Result<(), TaskError> {
        tokio::time::sleep(60 * SECOND).await;
        Ok(())
    }

    #[supervised(name = "ready: stay connected", grace = "50ms")]
    async fn stay_connected(token: &CancellationToken) -> Result<(), TaskError> {
        loop {
            let group = Group::new(token);
            _ = group.spawn(session).await;
            drop(group.join().await);
        }
    }

    on_one_thread(|| async {
        let token = live();
        let cancels = async {
            tokio::time::sleep(WHILE).await;
            token.cancel();
            Instant::now()
        };
        let (ended, cancelled) = tokio::join!(stay_connected(&token), cancels);
        assert_eq!(ended.unwrap_err().outcome(), Outcome::Cancelled);
        assert!(cancelled.elapsed() >= Duration::from_millis(49), "the grace is granted");
    });
}

#[test]
fn a_producer_into_a_failed_group_does_not_hold_its_join() {
    #[supervised(name = "ready: job")]
    async fn job(n: u64) -> Result<(), TaskError> {
        yield_now().await;
        assert!(n < 100, "job {n} fails");
        Ok(())
    }

    /// Takes no token: it is dropped at its next `.await`.
    #[supervised(name = "ready: produce")]
    async fn produce(into: GroupHandle<(), TaskError>) -> Result<(), TaskError> {
        for n in 0.. {
            _ = into.spawn(move |token| job(token, n)).await;
        }
        Ok(())
    }

    finishes(|| {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let group: Tasks = Group::new(&live()).limit(8);
            let handle = group.handle();
            _ = group.spawn(move |token| produce(token, handle)).await;
            assert_eq!(group.join().await.unwrap_err().outcome(), Outcome::Panicked);
        });
    });
}

#[test]
fn a_loop_of_refused_spawns_ends_within_its_grace() {
    static SPAWNS: AtomicU64 = AtomicU64::new(0);
    static FED: AtomicBool = AtomicBool::new(false);

    #[supervised(name = "ready: work")]
    async fn work() -> Result<(), TaskError> {
        yield_now().await;
        Ok(())
    }

    #[supervised(name = "ready: feed", grace = "50ms")]
    async fn feed(token: &CancellationToken) -> Result<(), TaskError> {
        let group: Tasks = Group::new(token).limit(4);
        for n in 0_u64.. {
            _ = group.spawn(work).await;
            SPAWNS.store(n, SeqCst);
        }
        group.join().await.map(drop)
    }

    on_one_thread(|| async {
        let token = live();
        let other = tokio::task::spawn_local(async {
            while SPAWNS.load(SeqCst) < 1_000 {
                yield_now().await;
            }
            FED.store(true, SeqCst);
        });
        let cancels = async {
            other.await.unwrap();
            token.cancel();
        };
        let (ended, ()) = tokio::join!(feed(&token), cancels);
        assert_eq!(ended.unwrap_err().outcome(), Outcome::Cancelled);
        assert!(FED.load(SeqCst));
    });
}
