//! The pools that are left when the body of main has ended: in a static, in a task, leaked. Those of other
//! runtimes are left alone: tests that run beside each other have a runtime each.
//!
//! ```text
//! main thread   body ends ── drives its runtime ──────── reports the body, tells what is left: exit 75
//! draining          └─ drains all pools, in its own time ─┴─ the same, where the main thread is held
//! ```
//!
//! Neither waits for the other without a bound, and one of them tells: a task that holds the only thread of
//! the runtime, or a subscriber that never returns, delays the exit and does not prevent it.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinSet,
};

use super::{
    bounded::{self, TELLING},
    shutdown::{GRACE_SPENT, Shutdown, State, tell_undrained},
};
use crate::registry::{self, Drain};

/// How long the main thread may take to report the body, before the draining thread tells what is left.
const REPORTING: Duration = Duration::from_secs(1);

type Pools = Vec<Arc<dyn Drain>>;

/// Drains the pools of a runtime, while the main thread drives its runtime. Gives the list of what did not stop.
pub(super) fn drain(runtime: &Runtime, shutdown: &Shutdown) -> Option<String> {
    let home = runtime.handle().id();
    let pools: Pools =
        registry::POOLS.all().into_iter().filter(|pool| pool.belongs_to(home)).collect();
    if pools.is_empty() {
        return None;
    }
    let (grace, state) = (shutdown.left(), shutdown.state());
    state.tell_stopping(grace);
    let (tell, told) = oneshot::channel();
    let thread = thread::Builder::new().name("supervised-drain".to_owned());
    let for_thread = pools.clone();
    let spawned = thread.spawn(move || {
        let list = drained_within(grace, for_thread);
        _ = tell.send(list.clone());
        if let Some(list) = list {
            #[expect(
                clippy::disallowed_methods,
                reason = "a thread of its own, on which no task runs"
            )]
            thread::sleep(REPORTING);
            exit_instead(&state, &list);
        }
    });
    match spawned {
        // The sender is gone only where that thread has panicked.
        Ok(_) => runtime.block_on(told).unwrap_or_else(|_| what_is_left(&pools)),
        // No thread to be had: the runtime of the tasks has a clock, too.
        Err(_) => runtime.block_on(drain_all(grace, pools)),
    }
}

/// On a thread of its own once more, since what is told on the way may block.
fn drained_within(grace: Duration, pools: Pools) -> Option<String> {
    let drained = Arc::new(Mutex::new(None));
    bounded::run(grace.saturating_add(TELLING), {
        let (drained, pools) = (drained.clone(), pools.clone());
        move || {
            let Ok(runtime) = Builder::new_current_thread().enable_time().build() else { return };
            let list = runtime.block_on(drain_all(grace, pools));
            *drained.lock().unwrap_or_else(PoisonError::into_inner) = Some(list);
        }
    });
    let drained = drained.lock().unwrap_or_else(PoisonError::into_inner).take();
    drained.unwrap_or_else(|| what_is_left(&pools))
}

async fn drain_all(grace: Duration, pools: Pools) -> Option<String> {
    let mut drains = JoinSet::new();
    for pool in pools {
        #[expect(
            clippy::disallowed_methods,
            reason = "each ends within the grace, and all are joined below"
        )]
        drains.spawn(pool.drain(grace));
    }
    let mut list = String::new();
    while let Some(drained) = drains.join_next().await {
        if let Ok(Err(unfinished)) = drained {
            _ = writeln!(list, "{unfinished}");
        }
    }
    (!list.is_empty()).then_some(list)
}

/// The same list, where the drain itself is held: by a subscriber, as a rule.
fn what_is_left(pools: &[Arc<dyn Drain>]) -> Option<String> {
    let mut list = String::new();
    for task in pools.iter().flat_map(|pool| pool.left()) {
        _ = writeln!(list, "  {task}");
    }
    (!list.is_empty()).then_some(list)
}

/// The main thread is held by a task, or by the report of the body.
fn exit_instead(state: &State, list: &str) {
    if state.may_tell() {
        tell_undrained(list);
        bounded::exit(GRACE_SPENT.into());
    }
}
