//! From the first signal to the end of the grace, on a thread and a small runtime of its own: a body that
//! blocks every worker delays neither signal nor clock.
//!
//! ```text
//! first signal ── linger ──> token fires ── rest of the grace ──> exit 75
//!       └────────── a second signal, at any time: exit 128 + signal ──┘
//! ```

use std::{
    fmt::Write,
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tokio::{runtime::Builder, time};
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use crate::{Cause, Signal, events, run::frame::Scope, spec::TaskSpec};

/// `EX_TEMPFAIL`: the work is not done, and may be tried again.
const GRACE_SPENT: i32 = 75;

/// What the watching thread knows, for the main thread to ask.
pub(super) struct Shutdown(Arc<State>);

#[derive(Default)]
struct State {
    signal: OnceLock<Signal>,
    body_ended: AtomicBool,
}

struct Plan {
    grace: Duration,
    linger: Duration,
    token: CancellationToken,
    state: Arc<State>,
}

impl Shutdown {
    /// Starts watching; when it returns, the signals are caught.
    pub(super) fn watch(
        grace: Duration,
        linger: Duration,
        token: CancellationToken,
    ) -> io::Result<Self> {
        let state = Arc::new(State::default());
        let plan = Plan { grace, linger: linger.min(grace), token, state: state.clone() };
        let (caught, is_caught) = mpsc::channel();
        thread::Builder::new().name("supervised-signals".to_owned()).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return caught.send(Err(error)),
            };
            runtime.block_on(async {
                match Signals::listen() {
                    Ok(signals) => {
                        let told = caught.send(Ok(()));
                        plan.carry_out(signals).await;
                        told
                    }
                    Err(error) => caught.send(Err(error)),
                }
            })
        })?;
        let gone = || io::Error::other("the thread that watches the signals is gone");
        is_caught.recv().map_err(|_| gone())??;
        Ok(Self(state))
    }

    /// The signal that began the shutdown.
    pub(super) fn signal(&self) -> Option<Signal> {
        self.0.signal.get().copied()
    }

    /// What is left is the runtime's own shutdown, which has a bound of its own.
    pub(super) fn body_ended(&self) {
        self.0.body_ended.store(true, Ordering::Release);
    }
}

impl Plan {
    async fn carry_out(self, mut signals: Signals) {
        let first = signals.next().await;
        _ = self.state.signal.set(first);
        events::shutting_down(first, self.grace);
        let end = time::Instant::now() + self.grace;
        if !self.linger.is_zero() {
            or_exit(&mut signals, time::sleep(self.linger)).await;
        }
        Scope::main().explain(Cause::Signal(first));
        self.token.cancel();
        or_exit(&mut signals, time::sleep_until(end)).await;
        if self.state.body_ended.load(Ordering::Acquire) {
            or_exit(&mut signals, std::future::pending()).await;
        }
        let unfinished = unfinished();
        events::grace_spent(self.grace, &unfinished);
        eprintln!("The grace of {:?} is spent. What did not stop:\n{unfinished}", self.grace);
        std::process::exit(GRACE_SPENT);
    }
}

/// Waits, unless a second signal ends the process.
async fn or_exit(signals: &mut Signals, wait: impl Future<Output = ()>) {
    let mut wait = std::pin::pin!(wait);
    let second = std::future::poll_fn(|cx| {
        if wait.as_mut().poll(cx).is_ready() {
            return std::task::Poll::Ready(None);
        }
        signals.poll_next(cx).map(Some)
    });
    if let Some(signal) = second.await {
        std::process::exit(128 + signal.number());
    }
}

/// A line for each function of which something is left.
fn unfinished() -> String {
    let mut lines = String::new();
    for spec in TaskSpec::all() {
        let totals = spec.metrics().totals();
        let (running, waiting) = (totals.running(), totals.waiting);
        if running + waiting > 0 {
            let (name, place) = (spec.name(), spec.place());
            _ = writeln!(lines, "  {name}: {running} running, {waiting} waiting ({place})");
        }
    }
    lines
}
