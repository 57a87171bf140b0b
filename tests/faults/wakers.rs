//! Wakers that panic, and wakers that call the crate when it calls them.
//!
//! The owner of a future provides the waker: its panic is the executor's fault, and affects nothing else.
//!
//! Not tested is a waiter for a permit whose waker panics in its drop. The permit is lost then, since the compiler
//! leaks the output of an `.await` if the drop of the awaited future panics, as the last test shows.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, RawWaker, RawWakerVTable, Waker},
    thread,
    time::Duration,
};

use tokio::{runtime::Builder, task::LocalSet};
use tokio_supervised::{
    CancellationToken, Group, Pool, map, set_limit, shield, stats, supervised, tasks,
};

use crate::{
    counters::{Counters, holding},
    load::{Failed, Load, Loads, turn},
};
use testkit::watched;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Clone,
    Wake,
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Panic,
    /// Takes the locks of all scopes, one after the other.
    Look,
}

/// Two panics at once would abort the process, independent of their cause.
fn act(waker: &Faulty, call: Call) {
    if waker.at != call || thread::panicking() {
        return;
    }
    ACTED.set(ACTED.get() + 1);
    match waker.does {
        Does::Panic => panic!("the waker"),
        Does::Look => _ = (tasks(), stats()),
    }
}

thread_local! {
    /// How often a waker was called this way.
    static ACTED: Cell<u32> = const { Cell::new(0) };
}

struct Faulty {
    at: Call,
    does: Does,
}

fn faulty(at: Call, does: Does) -> Waker {
    let data = Arc::into_raw(Arc::new(Faulty { at, does })).cast();
    // SAFETY: the functions of the table maintain the count of the `Arc` that the pointer came from.
    unsafe { Waker::from_raw(RawWaker::new(data, &TABLE)) }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, dropped);

unsafe fn clone(data: *const ()) -> RawWaker {
    let data = data.cast::<Faulty>();
    // SAFETY: a waker that is cloned is alive, and so is its data; the clone gets its own count.
    unsafe {
        act(&*data, Call::Clone);
        Arc::increment_strong_count(data);
    }
    RawWaker::new(data.cast(), &TABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the consumed waker had one count, which this `Arc` takes over.
    let waker = unsafe { Arc::from_raw(data.cast::<Faulty>()) };
    act(&waker, Call::Wake);
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker is alive, and so is its data.
    act(unsafe { &*data.cast::<Faulty>() }, Call::Wake);
}

unsafe fn dropped(data: *const ()) {
    // SAFETY: as in `wake`.
    let waker = unsafe { Arc::from_raw(data.cast::<Faulty>()) };
    act(&waker, Call::Drop);
}

#[supervised(name = "wakers: limited", limit = 1)]
async fn limited(load: Load) -> Result<u32, Failed> {
    load.carry().await
}

#[supervised(name = "wakers: free")]
async fn free(load: Load) -> Result<u32, Failed> {
    load.carry().await
}

#[supervised(name = "wakers: in a section")]
async fn sectioned(load: Load) -> Result<u32, Failed> {
    shield(Duration::from_secs(9), |token| free(token, load)).await
}

fn counters() -> Counters {
    Counters::of(&["wakers: limited", "wakers: free", "wakers: in a section"]).limited(
        "wakers: limited",
        1,
        |load| holding(limited(CancellationToken::new(), load)),
    )
}

type Polled = Pin<Box<dyn Future<Output = ()>>>;

type Situation = (&'static str, fn(CancellationToken, Loads) -> Polled);

/// The future that is polled with the faulty waker. The runtime's own driver must not wake anything in it, by a
/// timer or after a `yield_now`: a panic there unwinds out of `block_on`, which this crate cannot prevent.
const SITUATIONS: [Situation; 8] = [
    ("a call", |token, loads| {
        Box::pin(async move {
            _ = free(&token, loads.held()).await;
        })
    }),
    ("a call that waits for its permit", |token, loads| {
        Box::pin(async move {
            let other = tokio::spawn(limited(token.clone(), loads.turns(6)));
            turn().await;
            _ = limited(&token, loads.turns(1)).await;
            _ = other.await;
        })
    }),
    ("a section", |token, loads| {
        Box::pin(async move {
            _ = sectioned(&token, loads.turns(3)).await;
        })
    }),
    ("a join", |token, loads| {
        Box::pin(async move {
            let group = Group::new(&token);
            for load in [loads.turns(3), loads.turns(5), loads.held(), loads.fails(8)] {
                group.spawn(|token| free(token, load)).await;
            }
            _ = group.join().await;
        })
    }),
    ("a spawn into a group that waits", |token, loads| {
        Box::pin(async move {
            let group = Group::new(&token).limit(1);
            for load in [loads.turns(3), loads.turns(5), loads.turns(1)] {
                group.spawn(|token| free(token, load)).await;
            }
            _ = group.join().await;
        })
    }),
    ("a map", |token, loads| {
        Box::pin(async move {
            let items = [loads.turns(3), loads.turns(5), loads.turns(1), loads.held()];
            _ = map(&token, items, free).limit(2).await;
        })
    }),
    ("a reservation", |token, loads| {
        Box::pin(async move {
            let pool = Pool::new(1);
            for load in [loads.turns(3), loads.turns(4)] {
                let Ok(slot) = pool.reserve().await else { return };
                slot.spawn(|token| free(token, load));
            }
            let drained = pool.drain(Duration::from_secs(100));
            tokio::select! { () = token.cancelled() => {}, _ = drained => {} }
        })
    }),
    ("a spawn into a pool that waits", |token, loads| {
        Box::pin(async move {
            let pool = Pool::new(1);
            for load in [loads.turns(3), loads.turns(4)] {
                _ = pool.spawn(|token| limited(token, load)).await;
            }
            let drained = pool.drain(Duration::from_secs(100));
            tokio::select! { () = token.cancelled() => {}, _ = drained => {} }
        })
    }),
];

/// Polls it at each turn, woken or not, since its waker may not have woken anything.
async fn drive(token: CancellationToken, mut polled: Polled, at: Call, does: Does) {
    for turns in 0..400 {
        if turns == 200 {
            _ = catch_unwind(AssertUnwindSafe(|| token.cancel()));
        }
        let waker = faulty(at, does);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            polled.as_mut().poll(&mut Context::from_waker(&waker))
        }));
        _ = catch_unwind(AssertUnwindSafe(|| drop(waker)));
        match ended {
            Ok(Poll::Pending) => {}
            // An async block that has panicked is not polled again.
            Ok(Poll::Ready(())) | Err(_) => break,
        }
        turn().await;
    }
    _ = catch_unwind(AssertUnwindSafe(|| drop(polled)));
    _ = catch_unwind(AssertUnwindSafe(|| token.cancel()));
}

/// The tests share functions and counters, so they run one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone(test: impl FnOnce() + Send + 'static) {
    watched(|| {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        test();
    });
}

#[test]
fn a_waker_that_panics_or_reenters_keeps_the_counters_exact() {
    alone(|| {
        let counters = counters();
        for (situation, start) in SITUATIONS {
            for at in [Call::Clone, Call::Wake, Call::Drop] {
                for does in [Does::Look, Does::Panic] {
                    let queues = situation.contains("waits") || situation == "a reservation";
                    if queues && at == Call::Drop && does == Does::Panic {
                        continue;
                    }
                    let when = format!("{situation}, {at:?}, {does:?}");
                    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                    let before = ACTED.get();
                    runtime.block_on(async {
                        let token = CancellationToken::new();
                        let polled = start(token.clone(), counters.loads());
                        drive(token, polled, at, does).await;
                        for _ in 0..200 {
                            turn().await;
                        }
                        assert_eq!(counters.complaint(), None, "{when}");
                    });
                    drop(runtime);
                    counters.must_balance(&when);
                    assert!(ACTED.get() > before, "{when}: the waker was not called");
                }
            }
        }
    });
}

#[test]
fn a_group_whose_token_wakes_a_panicking_waker_is_joined() {
    alone(|| {
        let counters = counters();
        let loads = counters.loads();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let group = Group::new(&CancellationToken::new());
            let mut of_the_group = None;
            group
                .spawn(|token| {
                    of_the_group = Some(token.clone());
                    free(token, loads.held())
                })
                .await;
            let (waker, mut calls) = (faulty(Call::Wake, Does::Panic), Vec::new());
            for _ in 0..40 {
                let mut call = Box::pin(free(of_the_group.clone().unwrap(), loads.held()));
                assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                calls.push(call);
            }
            group.spawn(|token| free(token, loads.held())).await;
            group.spawn(|token| free(token, loads.fails(2))).await;
            let joined = tokio::time::timeout(Duration::from_secs(20), group.join()).await;
            let failed = joined.expect("it hangs").unwrap_err();
            assert!(matches!(failed, Failed::Own { .. }), "{failed}");
            drop(calls);
        });
        counters.must_balance("a token that wakes");
    });
}

#[test]
fn a_map_whose_token_wakes_a_panicking_waker_ends() {
    alone(|| {
        let counters = counters();
        let loads = counters.loads();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (sender, receiver) = std::sync::mpsc::channel();
            let items = [loads.held(), loads.held(), loads.fails(5_000), loads.held()];
            let mapped = map(&CancellationToken::new(), items, move |token, load| {
                sender.send(token.clone()).unwrap();
                free(token, load)
            });
            let mapped = tokio::spawn(mapped.limit(4).into_future());
            let waker = faulty(Call::Wake, Does::Panic);
            let mut calls = Vec::new();
            for _ in 0..10 {
                turn().await;
                for token in receiver.try_iter() {
                    let mut call = Box::pin(free(token, loads.held()));
                    assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                    calls.push(call);
                }
            }
            assert_eq!(calls.len(), 4);
            let ended = tokio::time::timeout(Duration::from_secs(20), mapped).await;
            let failed = ended.expect("it hangs").unwrap().unwrap_err();
            assert!(matches!(failed, Failed::Own { .. }), "{failed}");
            drop(calls);
        });
        counters.must_balance("a token that wakes");
    });
}

/// Each task of a `LocalSet` wakes the set's own waker.
#[test]
fn a_drain_aborts_local_tasks_despite_a_panicking_waker() {
    #[supervised(name = "wakers: deaf", grace = "none", allow(unused_token))]
    async fn deaf(token: &CancellationToken, load: Load) -> Result<u32, Failed> {
        _ = token;
        load.carry().await
    }

    alone(|| {
        let counters = Counters::of(&["wakers: deaf"]);
        let loads = counters.loads();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (local, pool) = (LocalSet::new(), Pool::new(3));
            let spawns = async {
                for _ in 0..3 {
                    pool.spawn_local(|token| deaf(token, loads.held())).await.unwrap();
                    turn().await;
                }
            };
            local.run_until(spawns).await;
            let mut local = Box::pin(local);
            let mut poll =
                |waker: &Waker| local.as_mut().poll(&mut Context::from_waker(waker)).is_ready();
            let mut drained = Box::pin(pool.drain(Duration::ZERO));
            let mut drain = || drained.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(drain().is_pending());
            assert!(!poll(&faulty(Call::Wake, Does::Panic)), "they are cancelled, but do not stop");
            let before = ACTED.get();
            let ended = catch_unwind(AssertUnwindSafe(drain)).expect("the waker is not the pool's");
            assert_eq!(ACTED.get(), before + 1);
            let Poll::Ready(Err(unfinished)) = ended else { panic!("{ended:?}") };
            assert_eq!(unfinished.tasks().len(), 3);
            assert!(poll(Waker::noop()), "each task is aborted");
        });
        counters.must_balance("local tasks");
    });
}

#[test]
fn a_dropped_map_stops_its_workers_if_no_waker_can_be_cloned() {
    alone(|| {
        let counters = counters();
        let loads = counters.loads();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let items = [loads.held(), loads.held()];
            let mut mapped = Box::pin(map(&CancellationToken::new(), items, free));
            let waker = faulty(Call::Clone, Does::Panic);
            let poll = || mapped.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
            catch_unwind(AssertUnwindSafe(poll)).unwrap_err();
            turn().await;
            assert!(counters.complaint().is_some(), "it runs");
            drop(mapped);
            for _ in 0..20 {
                turn().await;
            }
            assert_eq!(counters.complaint(), None);
        });
        counters.must_balance("a map that is dropped");
    });
}

#[test]
fn releasing_a_permit_to_a_panicking_waker_keeps_the_result() {
    alone(|| {
        let counters = counters();
        let loads = counters.loads();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let token = CancellationToken::new();
            let group = Group::new(&token);
            group.spawn(|token| limited(token, loads.turns(3))).await;
            let mut waits = Box::pin(limited(&token, loads.turns(1)));
            let waker = faulty(Call::Wake, Does::Panic);
            assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            assert_eq!(group.join().await.unwrap(), [3]);
            assert_eq!(waits.await.unwrap(), 1);
        });
        counters.must_balance("a permit that wakes");
    });
}

/// More waiters than tokio wakes in one batch: the permits assigned to the others were lost with the panic.
#[test]
fn a_larger_limit_wakes_all_despite_a_panicking_waker() {
    const WAIT: usize = 40;

    #[supervised(name = "wakers: grows", limit = 1)]
    async fn grows() -> Result<(), Failed> {
        std::future::pending().await
    }

    alone(|| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (token, panics) = (CancellationToken::new(), faulty(Call::Wake, Does::Panic));
            let mut calls: Vec<_> = (0..=WAIT).map(|_| Box::pin(grows(&token))).collect();
            for (number, call) in calls.iter_mut().enumerate() {
                let waker = if number == 1 { &panics } else { Waker::noop() };
                assert!(call.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
            }
            set_limit("wakers: grows", WAIT + 1).unwrap();
            for call in &mut calls {
                let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(polled.is_pending());
            }
            let stats = stats().into_iter().find(|each| each.name == "wakers: grows").unwrap();
            assert_eq!((stats.running, stats.waiting), (WAIT as u64 + 1, 0));
        });
    });
}

/// If this changes, the situations that are left out above can be tested.
#[test]
fn an_await_leaks_its_output_if_the_drop_of_the_future_panics() {
    struct Gives(Option<Arc<()>>);

    impl Future for Gives {
        type Output = Arc<()>;

        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Arc<()>> {
            Poll::Ready(self.0.take().unwrap())
        }
    }

    impl Drop for Gives {
        fn drop(&mut self) {
            panic!("the drop");
        }
    }

    let permit = Arc::new(());
    let mut awaits = Box::pin({
        let permit = permit.clone();
        async { drop(Gives(Some(permit)).await) }
    });
    let poll = || awaits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    catch_unwind(AssertUnwindSafe(poll)).unwrap_err();
    drop(awaits);
    assert_eq!(Arc::strong_count(&permit), 2);
}
