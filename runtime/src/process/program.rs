//! The steps of every main around its body: before it, the runtime and the watch over the signals; after it, the drain of
//! the pools, the shutdown and the exit code.

use std::{io::Write, process::ExitCode};

use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::{
    cause::Signal,
    context::tree::MainScope,
    outcome::Outcome,
    panic,
    process::blocked::{BlockedWatch, OnBlocked},
    process::exit::Unfinished,
    process::settings::Settings,
    process::shutdown::Shutdown,
    process::{drain_pools, exit, systemd},
};

/// A program whose signals are watched, before its body is polled.
pub(crate) struct Program {
    pub(crate) runtime: Runtime,
    pub(crate) token: CancellationToken,
    pub(crate) scope: MainScope,
    shutdown: Shutdown,
    _blocked: Option<BlockedWatch>,
}

impl Program {
    /// Starts the runtime and watches the signals. `Err` holds the exit code, if the system refuses either.
    pub(crate) fn start(
        settings: Settings,
        on_blocked: Option<OnBlocked>,
        runtime: &mut Builder,
    ) -> Result<Self, ExitCode> {
        panic::hook::install();
        let (token, scope) = (CancellationToken::new(), MainScope::new());
        let started = runtime.build().and_then(|runtime| {
            let shutdown = Shutdown::watch(settings, token.clone(), &scope)?;
            let watch = |limit| BlockedWatch::start(limit, on_blocked);
            Ok((runtime, shutdown, settings.warn_blocked.map(watch).transpose()?))
        });
        let (runtime, shutdown, blocked) = started.map_err(|error| {
            // Not `eprintln!`, which panics if stderr is closed.
            _ = writeln!(std::io::stderr(), "Error: failed to start the runtime: {error}");
            ExitCode::FAILURE
        })?;
        systemd::watch(&runtime);
        Ok(Self { runtime, token, scope, shutdown, _blocked: blocked })
    }

    /// Drains the pools, shuts the runtime down, and returns the exit code. `report` reports what the body returned.
    pub(crate) fn finish(self, outcome: Outcome, report: impl FnOnce() -> ExitCode) -> ExitCode {
        let Self { runtime, shutdown, _blocked, .. } = self;
        let signal = shutdown.body_ended();
        let home = runtime.handle().id();
        if let Some(undrained) = drain_pools::drain(&runtime, &shutdown) {
            report_before(outcome, report, signal);
            let code = shutdown.exit().report(Unfinished::Pools(undrained));
            exit::shut_down(runtime);
            return code;
        }
        exit::shut_down(runtime);
        // A task outside of pools may have spawned into one until the runtime was gone.
        if let Some(lost) = drain_pools::remaining_tasks(home) {
            report_before(outcome, report, signal);
            return shutdown.exit().report(Unfinished::Pools(lost));
        }
        match signal {
            Some(signal) if outcome == Outcome::Cancelled => {
                panic::drop_quietly(report);
                exit::end_by_signal(signal)
            }
            _ => report(),
        }
    }
}

/// Reports what the body returned, if something else decides the exit code.
fn report_before(outcome: Outcome, report: impl FnOnce() -> ExitCode, signal: Option<Signal>) {
    if outcome == Outcome::Cancelled && signal.is_some() {
        panic::drop_quietly(report);
    } else {
        _ = report();
    }
}
