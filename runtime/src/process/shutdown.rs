//! From the first signal to the end of the grace, on a thread with a small runtime: a body that blocks every worker
//! delays neither the signal nor the clock.
//!
//! ```text
//! first signal ── linger ──> token fires ── rest of the grace ──> exit 75
//!       └────────── a second signal, at any time: exit 128 + signal ──┘
//! ```
//!
//! That thread calls code that may block or panic only through [`bounded`].

use std::{
    io,
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
    bounded,
    bounded::REPORT_TIMEOUT,
    cause::{Cause, Signal},
    context::tree::{MainScope, ScopeNode},
    deadline::Deadline,
    process::exit,
    process::exit::{AFTER_BODY, Exit, Unfinished},
    process::settings::Settings,
    process::signals::Signals,
    ready,
    telemetry::events,
};

/// How many mains of this process have not returned.
static MAINS: AtomicUsize = AtomicUsize::new(0);

/// The signals and the grace of one main, for its thread. Another thread watches them.
pub(crate) struct Shutdown {
    state: Arc<State>,
    exit: Exit,
    deadline: Arc<Deadline>,
}

struct State {
    grace: Duration,
    signal: OnceLock<Signal>,
    since: OnceLock<Instant>,
    body_ended: AtomicBool,
    returned: AtomicBool,
}

struct Plan {
    grace: Duration,
    linger: Duration,
    token: CancellationToken,
    scope: Arc<ScopeNode>,
    deadline: Arc<Deadline>,
    state: Arc<State>,
    exit: Exit,
}

impl Shutdown {
    /// Starts the thread that watches the signals. They are caught when this returns.
    pub(crate) fn watch(
        settings: Settings,
        token: CancellationToken,
        main: &MainScope,
    ) -> io::Result<Self> {
        let Settings { grace, linger, .. } = settings;
        let exit = Exit::default();
        let this = Self { state: Arc::new(State::new(grace)), exit, deadline: Deadline::start() };
        MAINS.fetch_add(1, Ordering::Relaxed);
        let (scope, deadline, state) = (main.scope(), this.deadline.clone(), this.state.clone());
        let exit = this.exit.clone();
        let plan = Plan { grace, linger, token, scope, deadline, state, exit };
        let (caught, is_caught) = mpsc::channel();
        thread::Builder::new().name("supervised-signals".to_owned()).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return caught.send(Err(error)),
            };
            runtime.block_on(async {
                match Self::listen(settings) {
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
        let gone = || io::Error::other("the thread that watches the signals exited");
        is_caught.recv().map_err(|_| gone())??;
        Ok(this)
    }

    fn listen(settings: Settings) -> io::Result<Signals> {
        #[cfg(unix)]
        if settings.dumps {
            let dumps = crate::process::tree::on_request()?;
            #[expect(
                clippy::disallowed_methods,
                reason = "it ends with this thread's own runtime"
            )]
            tokio::spawn(dumps);
        }
        Signals::listen(settings.signals)
    }

    /// Records the end of the body: the later steps have their own time limits. Returns the signal that came before.
    pub(crate) fn body_ended(&self) -> Option<Signal> {
        self.deadline.finish();
        self.state.body_ended.store(true, Ordering::Release);
        self.state.signal.get().copied()
    }

    /// Returns the remaining grace: all of it before a signal, and always enough for tasks to react.
    pub(crate) fn remaining(&self) -> Duration {
        let State { grace, since, .. } = &*self.state;
        let spent = since.get().map_or(Duration::ZERO, Instant::elapsed);
        grace.saturating_sub(spent).max(REPORT_TIMEOUT.min(*grace))
    }

    /// Returns the whole grace.
    pub(crate) fn grace(&self) -> Duration {
        self.state.grace
    }

    pub(crate) fn exit(&self) -> &Exit {
        &self.exit
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
        }
    }

    /// Whether this main has returned and another one of the process has not: the other one handles the signals.
    fn is_succeeded(&self) -> bool {
        self.returned.load(Ordering::Acquire) && MAINS.load(Ordering::Relaxed) > 0
    }
}

impl Plan {
    async fn run(self, mut signals: Signals) {
        let first = signals.next().await;
        let Self { grace, linger, token, scope, deadline, state, exit } = self;
        _ = state.since.set(Instant::now());
        _ = state.signal.set(first);
        ready::set(false);
        let mut spent = std::pin::pin!(time::sleep(grace));
        // Wakes the drains in the body, through wakers that may be foreign code.
        bounded::report(move || deadline.set(grace));
        if !state.is_succeeded() {
            exit.announce(grace);
            bounded::report(move || events::shutting_down(first, grace));
        }
        if !linger.is_zero() {
            wait_or_exit(&mut signals, time::sleep(linger)).await;
        }
        // This calls wakers, too.
        bounded::report(move || {
            scope.cancel(Cause::Signal(first), || token.cancel());
        });
        wait_or_exit(&mut signals, spent.as_mut()).await;
        if state.body_ended.load(Ordering::Acquire) {
            wait_or_exit(&mut signals, time::sleep(AFTER_BODY)).await;
        }
        if state.is_succeeded() {
            wait_or_exit(&mut signals, std::future::pending()).await;
        }
        exit.end_process(Unfinished::Grace(grace));
        // Another thread reports and ends the process, unless something holds it.
        wait_or_exit(&mut signals, time::sleep(AFTER_BODY)).await;
        exit::end(exit::UNFINISHED.into());
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
        exit::end(128 + signal.number());
    }
}
