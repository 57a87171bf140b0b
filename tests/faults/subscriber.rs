//! A `tracing` subscriber that panics, at each call that it gets.
//!
//! The record of that call is lost, and nothing else: the work has the same results as with a working subscriber.

use std::{cell::Cell, panic::catch_unwind, sync::Once, thread, time::Duration};

use tokio::runtime::Builder;
use tokio_supervised::{CancellationToken, Group, Pool, map, shield, supervised};
use tracing::{
    Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

use crate::{
    counters::{Counters, holding},
    load::{Failed, Load, Loads, turn},
};
use testkit::watched;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Enabled,
    NewSpan,
    Record,
    Event,
    Enter,
    Exit,
    CloneSpan,
    CloseSpan,
}

const CALLS: [Call; 8] = [
    Call::Enabled,
    Call::NewSpan,
    Call::Record,
    Call::Event,
    Call::Enter,
    Call::Exit,
    Call::CloneSpan,
    Call::CloseSpan,
];

/// When the subscriber of a thread panics.
#[derive(Clone, Copy, Debug)]
enum Panics {
    Never,
    At(Call),
    /// Only at the call with this number, of any kind.
    Once(usize),
}

thread_local! {
    static PANICS: Cell<Option<Panics>> = const { Cell::new(None) };
    static CALLED: Cell<usize> = const { Cell::new(0) };
}

/// One subscriber for the process; it panics only where a test asks for it.
struct Faulty;

impl Faulty {
    fn called(&self, call: Call) {
        let Some(panics) = PANICS.get() else { return };
        let number = CALLED.replace(CALLED.get() + 1);
        let due = match panics {
            Panics::Never => false,
            Panics::At(at) => at == call,
            Panics::Once(at) => at == number,
        };
        // Two panics at once would abort the process, which would be this subscriber's fault.
        if due && !thread::panicking() {
            panic!("no disk for logs: {call:?}");
        }
    }
}

impl Subscriber for Faulty {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if PANICS.get().is_none() || metadata.target() != "tokio_supervised" {
            return false;
        }
        self.called(Call::Enabled);
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.called(Call::NewSpan);
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {
        self.called(Call::Record);
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        self.called(Call::Event);
    }
    fn enter(&self, _: &Id) {
        self.called(Call::Enter);
    }
    fn exit(&self, _: &Id) {
        self.called(Call::Exit);
    }
    fn clone_span(&self, id: &Id) -> Id {
        self.called(Call::CloneSpan);
        id.clone()
    }
    fn try_close(&self, _: Id) -> bool {
        self.called(Call::CloseSpan);
        true
    }
}

#[supervised(name = "subscriber: work", limit = 2)]
async fn work(load: Load) -> Result<u32, Failed> {
    load.carry().await
}

#[supervised(name = "subscriber: nothing", timeout = "3ms")]
async fn without_result(load: Load) {
    _ = load.carry().await;
}

#[supervised(name = "subscriber: deaf", grace = "2ms")]
async fn deaf(token: &CancellationToken, load: Load) -> Result<u32, Failed> {
    token.cancelled().await;
    load.carry().await
}

#[supervised(
    name = "subscriber: restarts",
    restart = "on-failure",
    backoff = "1ms..1ms",
    max_restarts = "1/1h"
)]
async fn restarts(load: Load) -> Result<u32, Failed> {
    load.carry().await
}

struct DropPanics(#[allow(dead_code, reason = "held for its drop")] Load);

impl Drop for DropPanics {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("the drop");
        }
    }
}

#[supervised(name = "subscriber: drop panics")]
async fn drop_panics(held: DropPanics) -> Result<u32, Failed> {
    let _held = held;
    std::future::pending().await
}

/// Whether a closure panics; opaque to the compiler.
fn unmade() -> bool {
    std::hint::black_box(true)
}

/// Everything that logs, and its results.
async fn all(loads: Loads) -> String {
    let token = CancellationToken::new();
    let mut came_to = Vec::new();
    let mut note = |what: &str, result: String| came_to.push(format!("{what}: {result}"));

    let group = Group::new(&token).limit(2);
    for load in [loads.turns(2), loads.turns(0), loads.sleeps(1, 2)] {
        group.spawn(|token| work(token, load)).await;
    }
    note("a group", format!("{:?}", group.join().await));

    let group = Group::new(&token);
    group.spawn(|token| work(token, loads.held())).await;
    group.spawn(|token| work(token, loads.panics(1))).await;
    note("a group that panics", format!("{}", group.join().await.unwrap_err()));

    let group = Group::new(&token);
    group.spawn(|token| work(token, loads.held())).await;
    turn().await;
    drop(group);
    turn().await;

    let (group, held) = (Group::new(&token), loads.held());
    group.spawn(|token| if unmade() { panic!("the closure") } else { work(token, held) }).await;
    note("a closure", format!("{}", group.join().await.unwrap_err()));

    let mapped = map(&token, [loads.turns(2), loads.turns(0), loads.sleeps(0, 1)], work);
    note("a map", format!("{:?}", mapped.await));
    let settled = map(&token, [loads.fails(1), loads.panics(1), loads.turns(1)], work).settled();
    note("settled", format!("{:?}", settled.await.iter().map(Result::is_ok).collect::<Vec<_>>()));
    {
        let mut left = Box::pin(map(&token, [loads.held(), loads.held()], work));
        tokio::select! {
            biased;
            _ = left.as_mut() => {}
            () = async { for _ in 0..6 { turn().await } } => {}
        }
    }

    without_result(&token, loads.held()).await;
    without_result(&token, loads.panics(0)).await;
    note("restarts", format!("{}", restarts(&token, loads.fails(0)).await.unwrap_err()));
    let within = token.child_token();
    within.cancel();
    note("cancelled", format!("{}", work(&within, loads.held()).await.unwrap_err()));
    let within = token.child_token();
    let (ended, ()) = tokio::join!(deaf(&within, loads.held()), async {
        turn().await;
        within.cancel();
    });
    note("a spent grace", format!("{}", ended.unwrap_err()));
    let section = shield(Duration::from_millis(1), |token| work(token, loads.held()));
    note("a section", format!("{}", section.await.unwrap_err()));
    let mut left = Box::pin(drop_panics(&token, DropPanics(loads.turns(0))));
    tokio::select! {
        biased;
        _ = left.as_mut() => {}
        () = turn() => {}
    }
    drop(left);

    let pool = Pool::new(2);
    for load in [loads.turns(1), loads.fails(1), loads.panics(0), loads.held()] {
        note("accepted", format!("{:?}", pool.spawn(|token| work(token, load)).await.is_ok()));
    }
    let deaf_load = loads.held();
    _ = pool.spawn(|token| deaf(token, deaf_load)).await;
    let held = loads.held();
    _ = pool.spawn(|token| if unmade() { panic!("the closure") } else { work(token, held) }).await;
    let drained = pool.drain(Duration::from_millis(2)).await;
    note("a drain", format!("{:?}", drained.map_err(|left| left.tasks().len())));

    let dropped = Pool::new(1);
    _ = dropped.spawn(|token| work(token, loads.held())).await;
    turn().await;
    drop(dropped);
    for _ in 0..9 {
        turn().await;
    }
    came_to.join("\n")
}

fn counters() -> Counters {
    let names = &[
        "subscriber: work",
        "subscriber: nothing",
        "subscriber: deaf",
        "subscriber: restarts",
        "subscriber: drop panics",
    ];
    Counters::of(names)
        .limited("subscriber: work", 2, |load| holding(work(CancellationToken::new(), load)))
}

/// The results with such a subscriber, and how many calls it got.
fn with(panics: Panics, counters: &Counters) -> (String, usize) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| tracing::subscriber::set_global_default(Faulty).unwrap());
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    PANICS.set(Some(panics));
    CALLED.set(0);
    let came_to =
        catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(all(counters.loads()))));
    drop(runtime);
    PANICS.set(None);
    let came_to =
        came_to.unwrap_or_else(|_| panic!("{panics:?}: the panic unwinds out of the crate"));
    counters.must_balance(&format!("{panics:?}"));
    (came_to, CALLED.get())
}

#[test]
fn a_subscriber_that_panics_loses_only_its_own_records() {
    watched(|| {
        let counters = counters();
        let (well, calls) = with(Panics::Never, &counters);
        assert!(calls > 100, "only {calls} calls of the subscriber");
        for call in CALLS {
            let (came_to, _) = with(Panics::At(call), &counters);
            assert_eq!(came_to, well, "panics at each {call:?}");
        }
        for number in 0..calls {
            let (came_to, _) = with(Panics::Once(number), &counters);
            assert_eq!(came_to, well, "panics at call {number}");
        }
    });
}
