//! Runs a program: a runtime, a root token, signals, and the exit code.
//!
//! Invariants, checked by `tests/process/`
//!
//! 1. Regardless of the body, two signals end the process, and one does within the grace.
//! 2. The exit code says how the program ended: 0 or the body's own, 1 for `Err`, 101 for a panic, the signal itself
//!    for work that it cut short, 75 if the grace was too short, also if the body's error carries an
//!    [`Unfinished`](crate::Unfinished) or a pool lost tasks with the runtime, `128 + signal` for a second signal.
//! 3. A main reports only its own causes. Otherwise a signal to an earlier main of the process would count as the cause
//!    of a later cancellation. (`composition/pool_truth.rs`)

use std::{
    io::Write,
    process::{ExitCode, Termination},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    cause::Signal,
    context::tree::MainScope,
    error::TaskError,
    function::TaskSpec,
    outcome::Outcome,
    panic,
    process::exit::Unfinished,
    process::shutdown::Shutdown,
    process::{drain_pools, exit, systemd},
    run::RunResult,
    run::output::{Judge, Verdict},
    tasks::body_task::BodyTask,
    tasks::runtime_options::RuntimeOptions,
};

/// The exit code of a panic in `main`, as in any Rust program.
const PANICKED: u8 = 101;

/// The arguments of `#[supervised::main]`.
#[derive(Clone, Copy)]
pub struct MainOptions {
    grace: Duration,
    linger: Duration,
    runtime: RuntimeOptions,
}

impl MainOptions {
    /// A grace below the 30 s that orchestrators usually give; a worker for each core.
    pub const DEFAULT: Self = Self {
        grace: Duration::from_secs(25),
        linger: Duration::ZERO,
        runtime: RuntimeOptions::DEFAULT,
    };

    /// `grace = "25s"`.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        assert!(!grace.is_zero(), "`grace` must be longer than 0");
        self.grace = grace;
        self
    }

    /// `linger = "5s"`, after the `grace` that it is part of.
    #[must_use]
    #[track_caller]
    pub const fn linger(mut self, linger: Duration) -> Self {
        assert!(
            linger.as_nanos() < self.grace.as_nanos(),
            "`linger` is part of `grace` and must be shorter than it"
        );
        self.linger = linger;
        self
    }

    /// `flavor = "current_thread"`.
    #[must_use]
    pub const fn current_thread(mut self) -> Self {
        self.runtime = self.runtime.current_thread();
        self
    }

    /// `worker_threads = N`.
    #[must_use]
    pub const fn worker_threads(mut self, threads: usize) -> Self {
        self.runtime = self.runtime.worker_threads(threads);
        self
    }
}

/// Runs the body of `main`: starts the runtime, watches the signals, drains the pools, returns the exit code.
pub fn main<B, F>(
    options: MainOptions,
    spec: &'static TaskSpec,
    how: MainReturn<F::Output>,
    body: B,
) -> ExitCode
where
    B: FnOnce(CancellationToken) -> F,
    F: Future,
{
    panic::hook::install();
    let (token, scope) = (CancellationToken::new(), MainScope::new());
    let started = options.runtime.builder().build().and_then(|runtime| {
        let shutdown = Shutdown::watch(options.grace, options.linger, token.clone(), &scope)?;
        Ok((runtime, shutdown))
    });
    let (runtime, shutdown) = match started {
        Ok(started) => started,
        Err(error) => {
            // Not `eprintln!`, which panics if stderr is closed.
            _ = writeln!(std::io::stderr(), "Error: failed to start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };

    systemd::watch(&runtime);
    let task = BodyTask::of_main(spec, &scope, &token);
    let run_result = task.block_on(&runtime, token, how.verdict, body);
    let signal = shutdown.body_ended();
    let home = runtime.handle().id();
    if let Some(undrained) = drain_pools::drain(&runtime, &shutdown) {
        report_before(run_result, how, signal);
        let code = shutdown.exit().report(Unfinished::Pools(undrained));
        exit::shut_down(runtime);
        return code;
    }
    exit::shut_down(runtime);
    // A task outside of pools may have spawned into one until the runtime was gone.
    if let Some(lost) = drain_pools::remaining_tasks(home) {
        report_before(run_result, how, signal);
        return shutdown.exit().report(Unfinished::Pools(lost));
    }
    exit_code(run_result, how, signal)
}

/// Reports what the body returned, if something else decides the exit code.
fn report_before<R>(run_result: RunResult<R>, how: MainReturn<R>, signal: Option<Signal>) {
    if run_result.outcome == Outcome::Cancelled && signal.is_some() {
        panic::drop_quietly(run_result.result);
    } else {
        _ = exit_code(run_result, how, None);
    }
}

/// How the value that `main` returns becomes an exit code.
pub struct MainReturn<R> {
    verdict: Judge<R>,
    report: fn(R) -> ExitCode,
}

/// Checks the bound on what `main` returns, once, at its return type.
pub fn exit<R: Termination>(verdict: Judge<R>) -> MainReturn<R> {
    MainReturn { verdict, report: R::report }
}

/// Returns the exit code. `signal` is the signal that arrived before the body ended.
fn exit_code<R>(run_result: RunResult<R>, how: MainReturn<R>, signal: Option<Signal>) -> ExitCode {
    let RunResult { outcome, result, .. } = run_result;
    if outcome == Outcome::Cancelled {
        if let Some(signal) = signal {
            panic::drop_quietly(result);
            return exit::end_by_signal(signal);
        }
    }
    match result {
        Ok(value) => {
            // The chain of an error is the user's code.
            let verdict = panic::catch(|| (how.verdict)(&value, None));
            let code = (how.report)(value);
            if matches!(verdict, Ok(Verdict::CarriesUnfinished)) {
                ExitCode::from(exit::UNFINISHED)
            } else {
                code
            }
        }
        Err(TaskError::Panicked(_)) => ExitCode::from(PANICKED),
        Err(error) => {
            _ = writeln!(std::io::stderr(), "Error: {error}");
            ExitCode::FAILURE
        }
    }
}
