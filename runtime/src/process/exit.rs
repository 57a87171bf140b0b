//! The end of a process: the thread that ends it, the reports before it, and the exit code.
//!
//! Four observers may find that work did not finish: main after the drain, main after the runtime's shutdown, the thread
//! that drains the pools, and the thread that times the grace. All end the process through [`Exit`].
//!
//! Invariants
//!
//! 1. One thread reports, and that thread ends the process. Otherwise two reports interleave on stderr, or the process
//!    ends in the middle of one. (`one_thread_claims_the_exit` below, `tests/process/spent.rs`)
//! 2. Each report, each flush and the end itself takes at most [`REPORT_TIMEOUT`](bounded::REPORT_TIMEOUT). Otherwise a
//!    pipe that is not read or a subscriber that blocks keeps the process alive. (`tests/process/hostile.rs`)
//! 3. Pending counts and backtraces are logged before exit 75, which runs no destructors. Otherwise the last failures
//!    and backtraces are lost. (`tests/process/events.rs`)
//! 4. A second signal ends the process without a report and without the claim: neither may delay it.
//!    (`tests/process/second_signal.rs`)

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::runtime::Runtime;

use crate::{
    bounded,
    bounded::REPORT_TIMEOUT,
    cause::Signal,
    process::{report::running_tasks, signals, systemd},
    telemetry::{events, flush},
};

/// `EX_TEMPFAIL`: the work is not done, and may be retried.
pub(crate) const UNFINISHED: u8 = 75;

/// How long the runtime may take to shut down: a blocking thread must not delay the exit.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(1);

/// How long after the body's end main may still exit by itself: the runtime's shutdown, a flush and its own report.
pub(crate) const AFTER_BODY: Duration = Duration::from_secs(2);

const MORE_TIME: &str = "\
Make these tasks stop sooner after their token fires, or raise `grace` in `#[supervised::main]`.";

const NO_BLOCKING: &str = "\
Move blocking work to `spawn_blocking`, or use the flavor `multi_thread`.";

/// The exit of one main, shared by the threads that may end the process.
#[derive(Clone, Default)]
pub(crate) struct Exit(Arc<State>);

#[derive(Default)]
struct State {
    is_claimed: AtomicBool,
    is_announced: AtomicBool,
}

/// Why work did not finish.
pub(crate) enum Unfinished {
    /// The grace has passed.
    Grace(Duration),
    /// All pools are drained within this grace, and a task blocks the main thread.
    MainBlocked(Duration),
    /// The listed tasks of pools did not finish.
    Pools(String),
}

impl Exit {
    /// Notifies the service manager once that the process ends, and within what time.
    pub(crate) fn announce(&self, grace: Duration) {
        if !self.0.is_announced.swap(true, Ordering::Relaxed) {
            // The body may end at the last moment, and a report may follow.
            systemd::stopping(grace.saturating_add(AFTER_BODY + 3 * REPORT_TIMEOUT));
        }
    }

    /// Reports what did not finish and ends the process. Returns if another thread ends it.
    pub(crate) fn end_process(&self, why: Unfinished) {
        if self.claim() {
            why.report();
            flush::all();
            end(UNFINISHED.into());
        }
    }

    /// Reports what did not finish, for the thread of main: it returns the code. If another thread ends the process,
    /// this never returns.
    pub(crate) fn report(&self, why: Unfinished) -> ExitCode {
        while !self.claim() {
            thread::park();
        }
        why.report();
        ExitCode::from(UNFINISHED)
    }

    /// Returns true once.
    fn claim(&self) -> bool {
        !self.0.is_claimed.swap(true, Ordering::AcqRel)
    }
}

impl Unfinished {
    /// Writes to stderr, then logs an event, each on a separate thread: if one blocks, the other is still made. Listing
    /// the tasks may drop the last handle of a group, which runs foreign code.
    fn report(self) {
        let (grace, why, advice) = match self {
            Self::Grace(grace) => (grace, "before all tasks stopped", MORE_TIME),
            Self::MainBlocked(grace) => {
                (grace, "while a task blocked the main thread", NO_BLOCKING)
            }
            Self::Pools(list) => {
                let text =
                    format!("Some tasks of pools did not finish; exiting with code 75:\n{list}");
                bounded::report(move || print(&text));
                return bounded::report(move || events::undrained(&list));
            }
        };
        bounded::report(move || {
            let tasks = running_tasks();
            print(&format!(
                "The grace of {grace:?} expired {why}; exiting with code 75. Still running:\n{tasks}{advice}\n"
            ));
        });
        bounded::report(move || events::grace_spent(grace, &running_tasks()));
    }
}

/// Not `eprintln!`, which panics if stderr is closed.
fn print(text: &str) {
    _ = io::stderr().write_all(text.as_bytes());
}

/// Ends the process as the signal would have, for the thread of main. Returns if the platform has no such end.
pub(crate) fn end_by_signal(signal: Signal) -> ExitCode {
    // A death by a signal runs no destructors: flush what was printed.
    bounded::report(|| _ = io::stdout().flush());
    signals::raise_again(signal)
}

/// Ends the process as `std::process::exit` does, or without its hooks and flushes if they hang: on a pipe that is not
/// read, or because another thread is exiting already.
pub(crate) fn end(code: i32) -> ! {
    bounded::report(move || std::process::exit(code));
    // `_exit`, on Windows too: no hooks, flushes or destructors.
    signal_hook::low_level::exit(code)
}

/// Shuts the runtime down and logs the pending counts and backtraces.
///
/// Backtraces come first: their panics are logged already. The shutdown runs on a separate thread, since it drops
/// tasks, and tokio puts no limit on a drop that blocks. Counts come last: the dropped tasks may add to them.
pub(crate) fn shut_down(runtime: Runtime) {
    flush::backtraces();
    bounded::run(RUNTIME_SHUTDOWN, move || runtime.shutdown_timeout(RUNTIME_SHUTDOWN));
    flush::counts();
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_thread_claims_the_exit() {
        let exit = Exit::default();
        let claims = thread::scope(|scope| {
            let threads = [(); 8].map(|()| scope.spawn(|| exit.clone().claim()));
            threads.map(|thread| thread.join().expect("a claim does not panic"))
        });
        assert_eq!(claims.iter().filter(|claimed| **claimed).count(), 1);
    }
}
