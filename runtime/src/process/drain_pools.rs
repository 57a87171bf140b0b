//! Drains the pools that remain when the body of main has ended: in a static, in a task, leaked, and pools that are
//! created or first used during the drain. Pools of other runtimes are not touched: parallel tests have a runtime each.
//!
//! ```text
//! main thread   body ends ── drives its runtime ──────── reports the body and what is left: exit 75
//! draining          └─ drains all pools, on its own clock ─┴─ the same, if the main thread is held
//! ```
//!
//! Neither thread waits for the other without a limit, and [`Exit`](crate::process::exit::Exit) lets one of them report.
//! So a task that holds the only thread of the runtime, or a subscriber that never returns, delays the exit and does not
//! prevent it. This also holds if all pools are drained and a task outside of them holds that thread
//! (`tests/process/pools.rs`).

use std::{
    collections::HashSet,
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use tokio::{
    runtime::{self, Builder, Runtime},
    sync::oneshot,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    bounded, bounded::REPORT_TIMEOUT, process::exit::Unfinished, process::shutdown::Shutdown,
    registry, registry::Drain,
};

/// How long the main thread may take to report the body, before the draining thread reports the remaining tasks.
const REPORT_HEAD_START: Duration = Duration::from_secs(1);

/// How often the drain lists the pools again: tasks may make more.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

type Pools = Vec<Arc<dyn Drain>>;

/// Returns the pools that were created or first used in a runtime.
fn pools_of(home: runtime::Id) -> Pools {
    registry::POOLS.all().into_iter().filter(|pool| pool.belongs_to(home)).collect()
}

/// Drains the pools of a runtime, while the main thread drives its runtime. Returns the list of unfinished tasks.
pub(crate) fn drain(runtime: &Runtime, shutdown: &Shutdown) -> Option<String> {
    let home = runtime.handle().id();
    if pools_of(home).is_empty() {
        return None;
    }
    let (grace, exit) = (shutdown.remaining(), shutdown.exit().clone());
    let grace_of_main = shutdown.grace();
    exit.announce(grace);
    let (sender, receiver) = oneshot::channel();
    let (returns, has_returned) = mpsc::channel::<()>();
    let thread = thread::Builder::new().name("supervised-drain".to_owned());
    let spawned = thread.spawn(move || {
        let started = Instant::now();
        let list = drain_within(grace, home);
        _ = sender.send(list.clone());
        if let Some(list) = list {
            #[expect(
                clippy::disallowed_methods,
                reason = "a separate thread, on which no task runs"
            )]
            thread::sleep(REPORT_HEAD_START);
            exit.end_process(Unfinished::Pools(list));
        } else {
            let rest = grace.saturating_sub(started.elapsed());
            let limit = rest.max(REPORT_HEAD_START);
            // All pools are drained, and `block_on` of a runtime with one thread cannot return while a task blocks
            // that thread. Nothing is ever sent: the drop of the sender ends the wait.
            if has_returned.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                exit.end_process(Unfinished::MainBlocked(grace_of_main));
            }
        }
    });
    let list = match spawned {
        // The sender is dropped only if that thread has panicked.
        Ok(_) => runtime.block_on(receiver).unwrap_or_else(|_| remaining_tasks(home)),
        // The system refuses a thread: the runtime of the tasks has a clock, too.
        Err(_) => runtime.block_on(drain_all(grace, home)),
    };
    drop(returns);
    list
}

/// Drains on one more thread, since a report of the drain may block.
fn drain_within(grace: Duration, home: runtime::Id) -> Option<String> {
    let drained = Arc::new(Mutex::new(None));
    bounded::run(grace.saturating_add(REPORT_TIMEOUT), {
        let drained = drained.clone();
        move || {
            let Ok(runtime) = Builder::new_current_thread().enable_time().build() else { return };
            let list = runtime.block_on(drain_all(grace, home));
            *drained.lock().unwrap_or_else(PoisonError::into_inner) = Some(list);
        }
    });
    let drained = drained.lock().unwrap_or_else(PoisonError::into_inner).take();
    drained.unwrap_or_else(|| remaining_tasks(home))
}

/// Drains all pools, including pools that their tasks create or first use meanwhile. They share one deadline.
async fn drain_all(grace: Duration, home: runtime::Id) -> Option<String> {
    let started = Instant::now();
    let mut drains = JoinSet::new();
    // Kept alive, or a new pool could get the address of a dropped one, and count as seen.
    let (mut drained, mut seen) = (Pools::new(), HashSet::new());
    let mut list = String::new();
    let mut left = grace;
    loop {
        for pool in pools_of(home) {
            if !seen.insert(Arc::as_ptr(&pool).cast::<()>()) {
                continue;
            }
            drained.push(pool.clone());
            #[expect(
                clippy::disallowed_methods,
                reason = "each ends within the grace, and all are joined below"
            )]
            drains.spawn(pool.drain(left));
        }
        match timeout(POLL_INTERVAL, drains.join_next()).await {
            Ok(Some(Ok(Err(unfinished)))) => _ = writeln!(list, "{unfinished}"),
            // A drain has ended, or it is time to list the pools again.
            Ok(Some(_)) | Err(_) => {}
            // All have ended, and their tasks have made no more pools.
            Ok(None) => break,
        }
        left = grace.saturating_sub(started.elapsed());
    }
    (!list.is_empty()).then_some(list)
}

/// Returns the tasks that no drain has returned: the drain itself is held, usually by a subscriber, or they were lost
/// with the runtime.
pub(crate) fn remaining_tasks(home: runtime::Id) -> Option<String> {
    let mut list = String::new();
    for task in pools_of(home).iter().flat_map(|pool| pool.remaining()) {
        _ = writeln!(list, "  {task}");
    }
    (!list.is_empty()).then_some(list)
}
