//! A fault occurs before one step of a scenario: before each of them in turn.
//!
//! A step is a poll of one task: of the scenario, if it was woken, or of one that it spawned. They are counted by a
//! local runtime with one thread, whose time is paused and advances a little with each step.
//!
//! 1. The scenario is polled only if it was woken: a lost wake-up is a hang.
//! 2. A scenario that does not end within [`MOST`] steps hangs.
//! 3. A fault before step `k` meets the same state each time: everything runs on one thread, in a fixed order.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio_supervised::CancellationToken;

use crate::{counters::Counters, load::turn};
use testkit::watched;

/// Far more than any scenario takes.
const MOST: usize = 20_000;

/// How far the clock advances, and in how many steps.
const STEPS_OF_A_TICK: usize = 3;
const TICK: Duration = Duration::from_millis(1);

/// The fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its token fires, and it runs to its end.
    Fired,
    /// Its owner drops it.
    Dropped,
    /// The same, by an abort of its task.
    Aborted,
    /// Its token fires, and its owner drops it this many steps later.
    FiredThenDropped(usize),
    /// The runtime of its tasks is shut down, and it continues in another one.
    ShutDown,
    /// The clock advances by three years, as after a long sleep of the machine.
    ClockJumps,
}

pub(crate) const ALL: [Fault; 9] = [
    Fault::Fired,
    Fault::Dropped,
    Fault::Aborted,
    Fault::FiredThenDropped(0),
    Fault::FiredThenDropped(1),
    Fault::FiredThenDropped(2),
    Fault::FiredThenDropped(5),
    Fault::ShutDown,
    Fault::ClockJumps,
];

const YEARS: Duration = Duration::from_secs(3 * 365 * 86_400);

/// The faults.
pub(crate) type Scenario = Pin<Box<dyn Future<Output = ()>>>;

/// Runs a scenario to its end, then again with each fault before each of its steps.
///
/// If the counters are wrong afterwards.
pub(crate) fn at_every_step(
    counters: Counters,
    scenario: impl Fn(CancellationToken) -> Scenario + Send + 'static,
) {
    watched(move || {
        let steps = run(&counters, &scenario, None).expect("it ends by itself");
        assert!(steps > 3, "{steps} steps are too few for a scenario");
        for fault in ALL {
            for at in 0..=steps {
                run(&counters, &scenario, Some((fault, at)));
            }
        }
    });
}

/// How many steps it took, if it ended in its first runtime.
fn run(
    counters: &Counters,
    scenario: &impl Fn(CancellationToken) -> Scenario,
    fault: Option<(Fault, usize)>,
) -> Option<usize> {
    let when = format!("{fault:?}");
    let first = runtime();
    let token = CancellationToken::new();
    let is_shut_down = matches!(fault, Some((Fault::ShutDown, _)));
    let mut own = Own::Polled(Polled::new(scenario(token.clone())));
    if matches!(fault, Some((Fault::Aborted, _))) {
        own = Own::Spawned(first.spawn_local(scenario(token.clone())));
    }
    let ended = first.block_on(drive(&mut own, &token, fault, counters, &when));
    if let Ended::HereAfter(steps) = ended {
        assert_eq!(first.handle().metrics().num_alive_tasks(), 0, "{when}: tokio still has a task");
        drop(first);
        counters.must_balance(&when);
        return Some(steps);
    }
    drop(first);
    if is_shut_down {
        if let Own::Polled(polled) = &mut own {
            polled.may_panic = true;
        }
        runtime().block_on(drive(&mut own, &token, None, counters, &when));
    }
    counters.must_balance(&when);
    None
}

fn runtime() -> LocalRuntime {
    Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .event_interval(1)
        .build_local(LocalOptions::default())
        .expect("a runtime can be created")
}

enum Ended {
    HereAfter(usize),
    /// It continues in another runtime.
    Elsewhere,
}

/// How the scenario is polled.
enum Own {
    Polled(Polled),
    Spawned(tokio::task::JoinHandle<()>),
}

async fn drive(
    own: &mut Own,
    token: &CancellationToken,
    fault: Option<(Fault, usize)>,
    counters: &Counters,
    when: &str,
) -> Ended {
    for step in 0..MOST {
        if let Some((fault, at)) = fault {
            match fault {
                Fault::Fired | Fault::FiredThenDropped(_) if step == at => token.cancel(),
                Fault::ShutDown if step == at => return Ended::Elsewhere,
                Fault::ClockJumps if step == at => advance(YEARS),
                Fault::Dropped if step == at => own.end(),
                Fault::Aborted if step == at => own.end(),
                _ => {}
            }
            if let Fault::FiredThenDropped(later) = fault {
                if step == at + later {
                    own.end();
                }
            }
        }
        if own.has_ended() {
            settle(counters, when).await;
            return Ended::HereAfter(step);
        }
        turn().await;
        if step % STEPS_OF_A_TICK == 0 {
            advance(TICK);
        }
    }
    panic!("{when}: it hangs; {:?}", counters.complaint());
}

/// Advances the clock without a step: due timers are woken in the next step.
fn advance(by: Duration) {
    let advance = pin!(tokio::time::advance(by));
    _ = advance.poll(&mut Context::from_waker(Waker::noop()));
}

/// Dropped or aborted tasks end by themselves in their next turns.
async fn settle(counters: &Counters, when: &str) {
    for step in 0..MOST {
        let Some(complaint) = counters.complaint() else { break };
        assert!(step < MOST - 1, "{when}: {complaint}");
        turn().await;
    }
    // Tokio has yet to remove tasks that have reported their end.
    for _ in 0..8 {
        turn().await;
    }
}

impl Own {
    fn has_ended(&mut self) -> bool {
        match self {
            Self::Polled(polled) => polled.step(),
            Self::Spawned(task) => task.is_finished(),
        }
    }

    fn end(&mut self) {
        match self {
            Self::Polled(polled) => polled.scenario = None,
            Self::Spawned(task) => task.abort(),
        }
    }
}

/// A scenario that is polled only if it was woken.
struct Polled {
    scenario: Option<Scenario>,
    woken: Arc<Woken>,
    /// A task that waits for a timer of a dropped runtime panics, as documented.
    may_panic: bool,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

impl Polled {
    fn new(scenario: Scenario) -> Self {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        Self { scenario: Some(scenario), woken, may_panic: false }
    }

    /// True if no work is left.
    fn step(&mut self) -> bool {
        let Some(scenario) = &mut self.scenario else { return true };
        if !self.woken.0.swap(false, SeqCst) {
            return false;
        }
        let waker = Waker::from(self.woken.clone());
        let poll = || scenario.as_mut().poll(&mut Context::from_waker(&waker));
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(())) => self.scenario = None,
            Err(_) if self.may_panic => self.scenario = None,
            Err(panic) => resume_unwind(panic),
        }
        self.scenario.is_none()
    }
}
