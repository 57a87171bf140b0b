//! From the first signal to the end of the grace, on a thread and a small runtime of its own: a body that
//! blocks every worker delays neither signal nor clock.
//!
//! ```text
//! first signal ── linger ──> token fires ── rest of the grace ──> exit 75
//!       └────────── a second signal, at any time: exit 128 + signal ──┘
//! ```
//!
//! That thread calls nothing that can block or panic, but through [`bounded`].

use std::{
    io::{self, Write as _},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use tokio::{runtime::Builder, time};
use tokio_util::sync::CancellationToken;

use crate::{
    cause::{Cause, Signal},
    context::tree::{MainScope, ScopeNode},
    deadline::Deadline,
    ready,
    telemetry::events,
};
use crate::{
    process::bounded::REPORT_TIMEOUT,
    process::signals::Signals,
    process::{bounded, report, systemd},
};

/// `EX_TEMPFAIL`: the work is not done, and may be tried again.
pub(crate) const GRACE_SPENT: u8 = 75;

/// What a body that has ended may take to become an exit: the runtime's shutdown, a flush, its report.
const AFTER_BODY: Duration = Duration::from_secs(2);

/// How many mains of this process have not returned.
static MAINS: AtomicUsize = AtomicUsize::new(0);

/// What the watching thread knows, for the main thread to ask.
pub(crate) struct Shutdown {
    state: Arc<State>,
    deadline: Arc<Deadline>,
}

pub(crate) struct State {
    grace: Duration,
    signal: OnceLock<Signal>,
    since: OnceLock<Instant>,
    body_ended: AtomicBool,
    returned: AtomicBool,
    reported: AtomicBool,
    stopping: AtomicBool,
}

struct Plan {
    grace: Duration,
    linger: Duration,
    token: CancellationToken,
    scope: Arc<ScopeNode>,
    deadline: Arc<Deadline>,
    state: Arc<State>,
}

impl Shutdown {
    /// Starts watching; when it returns, the signals are caught.
    pub(crate) fn watch(
        grace: Duration,
        linger: Duration,
        token: CancellationToken,
        main: &MainScope,
    ) -> io::Result<Self> {
        let this = Self { state: Arc::new(State::new(grace)), deadline: Deadline::start() };
        MAINS.fetch_add(1, Ordering::Relaxed);
        let (scope, deadline, state) = (main.scope(), this.deadline.clone(), this.state.clone());
        let plan = Plan { grace, linger, token, scope, deadline, state };
        let (caught, is_caught) = mpsc::channel();
        thread::Builder::new().name("supervised-signals".to_owned()).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return caught.send(Err(error)),
            };
            runtime.block_on(async {
                match Self::listen() {
                    Ok(signals) => {
                        ready::set(true);
                        let reported = caught.send(Ok(()));
                        plan.run(signals).await;
                        reported
                    }
                    Err(error) => caught.send(Err(error)),
                }
            })
        })?;
        let gone = || io::Error::other("the thread that watches the signals is gone");
        is_caught.recv().map_err(|_| gone())??;
        Ok(this)
    }

    fn listen() -> io::Result<Signals> {
        #[cfg(unix)]
        #[expect(clippy::disallowed_methods, reason = "it ends with this thread's own runtime")]
        tokio::spawn(crate::process::tree::on_request()?);
        Signals::listen()
    }

    /// The body has ended: what is left has bounds of its own. Gives the signal that came before.
    pub(crate) fn body_ended(&self) -> Option<Signal> {
        self.deadline.finish();
        self.state.body_ended.store(true, Ordering::Release);
        self.state.signal.get().copied()
    }

    /// What is left of the grace: all of it before a signal, and never so little that nobody could obey.
    pub(crate) fn remaining(&self) -> Duration {
        let State { grace, since, .. } = &*self.state;
        let spent = since.get().map_or(Duration::ZERO, Instant::elapsed);
        grace.saturating_sub(spent).max(REPORT_TIMEOUT.min(*grace))
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.state.clone()
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        self.deadline.finish();
        MAINS.fetch_sub(1, Ordering::Relaxed);
        self.state.returned.store(true, Ordering::Release);
    }
}

impl State {
    fn new(grace: Duration) -> Self {
        Self {
            grace,
            signal: OnceLock::new(),
            since: OnceLock::new(),
            body_ended: AtomicBool::new(false),
            returned: AtomicBool::new(false),
            reported: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }
    }

    pub(crate) fn grace(&self) -> Duration {
        self.grace
    }

    /// True once: what did not stop is told by one thread, which then ends the process.
    pub(crate) fn claim_report(&self) -> bool {
        !self.reported.swap(true, Ordering::AcqRel)
    }

    /// Tells the service manager once that the process goes down, and within what time.
    pub(crate) fn report_stopping(&self, grace: Duration) {
        if !self.stopping.swap(true, Ordering::Relaxed) {
            // The body may end at the last moment, and what is left may have to be told.
            systemd::stopping(grace.saturating_add(AFTER_BODY + 3 * REPORT_TIMEOUT));
        }
    }

    /// This main is over and another one of the process is not: that one answers the signals.
    fn is_succeeded(&self) -> bool {
        self.returned.load(Ordering::Acquire) && MAINS.load(Ordering::Relaxed) > 0
    }
}

impl Plan {
    async fn run(self, mut signals: Signals) {
        let first = signals.next().await;
        let Self { grace, linger, token, scope, deadline, state } = self;
        _ = state.since.set(Instant::now());
        _ = state.signal.set(first);
        ready::set(false);
        let mut spent = std::pin::pin!(time::sleep(grace));
        // Wakes the drains in the body, by wakers that may be the user's.
        bounded::run(REPORT_TIMEOUT, move || deadline.set(grace));
        if !state.is_succeeded() {
            state.report_stopping(grace);
            bounded::run(REPORT_TIMEOUT, move || events::shutting_down(first, grace));
        }
        if !linger.is_zero() {
            wait_or_exit(&mut signals, time::sleep(linger)).await;
        }
        // The wakers that this calls are the user's too.
        bounded::run(REPORT_TIMEOUT, move || {
            scope.cancel(Cause::Signal(first), || token.cancel());
        });
        wait_or_exit(&mut signals, spent.as_mut()).await;
        if state.body_ended.load(Ordering::Acquire) {
            wait_or_exit(&mut signals, time::sleep(AFTER_BODY)).await;
        }
        if state.is_succeeded() {
            wait_or_exit(&mut signals, std::future::pending()).await;
        }
        if state.claim_report() {
            report_grace_spent(grace);
            bounded::flush_logs();
        } else {
            // Someone tells, and exits.
            wait_or_exit(&mut signals, time::sleep(AFTER_BODY)).await;
        }
        bounded::exit(GRACE_SPENT.into());
    }
}

/// Waits, unless a second signal ends the process.
async fn wait_or_exit(signals: &mut Signals, wait: impl Future<Output = ()>) {
    let mut wait = std::pin::pin!(wait);
    let second = std::future::poll_fn(|cx| {
        if wait.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        signals.poll_next(cx).map(Some)
    });
    if let Some(signal) = second.await {
        bounded::exit(128 + signal.number());
    }
}

/// On two threads: whoever holds stderr, or the subscriber, holds back only that. To look may drop the last
/// of a group, which is foreign code too.
fn report_grace_spent(grace: Duration) {
    tell_grace_spent(grace, ". What did not stop:");
}

/// The same if the pools are drained, and a task holds the thread that main needs.
pub(crate) fn tell_blocked(grace: Duration) {
    tell_grace_spent(grace, ": a task blocks the thread of main.\nWhat runs:");
}

fn tell_grace_spent(grace: Duration, why: &'static str) {
    bounded::run(REPORT_TIMEOUT, move || {
        let unfinished = report::running_tasks();
        let text = format!("The grace of {grace:?} is spent{why}\n{unfinished}");
        _ = io::stderr().write_all(text.as_bytes());
    });
    bounded::run(REPORT_TIMEOUT, move || events::grace_spent(grace, &report::running_tasks()));
}

/// The same for pools that could not be drained.
pub(crate) fn report_undrained(list: &str) {
    let text = format!("The pools could not be drained.\n{list}");
    bounded::run(REPORT_TIMEOUT, move || _ = io::stderr().write_all(text.as_bytes()));
    let list = list.to_owned();
    bounded::run(REPORT_TIMEOUT, move || events::undrained(&list));
}
