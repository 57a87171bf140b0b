//! Runs a program: a runtime, a root token, signals, and the exit code.
//!
//! Invariants, checked by `tests/process/`
//!
//! 1. Regardless of the body, two signals end the process, and one does within the grace.
//! 2. The exit code says how the program ended: 0 or the body's own, 1 for `Err`, 101 for a panic, the signal itself
//!    for work that it cut short, 75 if the grace was too short, also if the body's error carries an
//!    [`Unfinished`](crate::Unfinished) or a pool lost tasks with the runtime, `128 + signal` for a second signal.
//! 3. A main reports only its own causes. Otherwise a signal to an earlier main of the process would count as the cause
//!    of a later cancellation. (`composition/pool_reports.rs`)

use std::{
    cell::Cell,
    io::Write,
    pin::pin,
    process::{ExitCode, Termination},
    time::Duration,
};

use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::{
    cause::Signal,
    error::TaskError,
    function::TaskSpec,
    outcome::Outcome,
    panic,
    process::blocked::OnBlocked,
    process::exit,
    process::program::Program,
    process::settings::Settings,
    process::signals::SignalSet,
    registry::live::LiveTask,
    run::future::{SupervisedFuture, TaskCompletion},
    run::output::{Judge, Verdict, panicked},
    run::{PollContext, RunResult},
    tasks::body_task::BodyTask,
    tasks::name::task_name,
    tasks::runtime_options::RuntimeOptions,
};

/// The exit code of a panic in `main`, as in any Rust program.
const PANICKED: u8 = 101;

/// The arguments of `#[supervised::main]`.
#[derive(Clone, Copy)]
pub struct MainOptions {
    settings: Settings,
    runtime: RuntimeOptions,
}

impl MainOptions {
    /// The defaults of [`Main`], and a worker for each core.
    pub const DEFAULT: Self =
        Self { settings: Settings::DEFAULT, runtime: RuntimeOptions::DEFAULT };

    /// `grace = "25s"`.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        assert!(!grace.is_zero(), "`grace` must be longer than 0");
        self.settings.grace = grace;
        self
    }

    /// `linger = "5s"`, after the `grace` that it is part of.
    #[must_use]
    #[track_caller]
    pub const fn linger(mut self, linger: Duration) -> Self {
        assert!(
            linger.as_nanos() < self.settings.grace.as_nanos(),
            "`linger` is part of `grace` and must be shorter than it"
        );
        self.settings.linger = linger;
        self
    }

    /// `signals = "int term hup"`.
    #[must_use]
    pub const fn signals(mut self, signals: &[Signal]) -> Self {
        self.settings.signals = SignalSet::of(signals);
        self
    }

    /// `warn_blocked = "1s"`.
    #[must_use]
    pub const fn warn_blocked(mut self, limit: Duration) -> Self {
        self.settings.warn_blocked = Some(limit);
        self
    }

    /// `warn_blocked = "off"`.
    #[must_use]
    pub const fn without_blocked_warnings(mut self) -> Self {
        self.settings.warn_blocked = None;
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
    let program = match Program::start(options.settings, None, &mut options.runtime.builder()) {
        Ok(program) => program,
        Err(code) => return code,
    };
    let task = BodyTask::of_main(spec, &program.scope, &program.token);
    let RunResult { outcome, result } =
        task.block_on(&program.runtime, program.token.clone(), how.verdict, body);
    program.finish(outcome, || exit_code(result, how))
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

/// Reports what the body returned, and returns the exit code.
fn exit_code<R>(result: Result<R, TaskError>, how: MainReturn<R>) -> ExitCode {
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

/// Runs a program as [`#[supervised::main]`](crate::supervised::main) does, with values that are known only at run time,
/// or on a runtime that the program configures.
///
/// ```no_run
/// use std::{env, process::ExitCode, time::Duration};
/// use tokio_supervised::{CancellationToken, Main, Signal, supervised};
///
/// #[supervised]
/// async fn serve(token: CancellationToken) -> anyhow::Result<()> {
///     token.cancelled().await;
///     Ok(())
/// }
///
/// fn main() -> ExitCode {
///     let grace = env::var("GRACE").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(25);
///     let mut runtime = tokio::runtime::Builder::new_multi_thread();
///     Main::new()
///         .grace(Duration::from_secs(grace))
///         .signals([Signal::Interrupt, Signal::Terminate, Signal::Hangup])
///         .runtime(runtime.thread_name("server"))
///         .run(|token| serve(token))
/// }
/// ```
///
/// [`run`](Self::run) takes a supervised function or a [`task!`](crate::task!), with its own `grace`, and an error type that
/// is only `Debug`. Signals, pools and exit codes are those of the [attribute](crate::supervised::main#signals).
#[must_use = "nothing runs until `run` is called"]
pub struct Main<'a> {
    settings: Settings,
    on_blocked: Option<OnBlocked>,
    runtime: Option<&'a mut Builder>,
}

impl Default for Main<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Main<'a> {
    /// Returns a main with the defaults of the attribute: a grace of 25 s, no linger, SIGINT and SIGTERM, the dump at
    /// SIGUSR1, and a multi-threaded runtime.
    pub fn new() -> Self {
        Self { settings: Settings::DEFAULT, on_blocked: None, runtime: None }
    }

    /// Sets how long everything may take to stop, from the first signal. Default: 25 s.
    ///
    /// # Panics
    ///
    /// If `grace` is zero.
    #[track_caller]
    pub fn grace(mut self, grace: Duration) -> Self {
        assert!(!grace.is_zero(), "`grace` must be longer than 0");
        self.settings.grace = grace;
        self
    }

    /// Sets how long after the first signal the token fires. It is part of the grace. Default: 0 s.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.settings.linger = linger;
        self
    }

    /// Sets the signals that start a shutdown. All others are left to the program. Default: SIGINT and SIGTERM.
    ///
    /// A SIGHUP that was ignored when the process started, as under `nohup`, stays ignored (on Linux). On Windows,
    /// [`Interrupt`](Signal::Interrupt) is Ctrl-C and Ctrl-Break, and [`Hangup`](Signal::Hangup) is nothing.
    pub fn signals(mut self, signals: impl IntoIterator<Item = Signal>) -> Self {
        self.settings.signals = SignalSet::of(&signals.into_iter().collect::<Vec<_>>());
        self
    }

    /// Sets whether SIGUSR1 prints the live tasks. With `false` the signal is left to the program. Default: `true`.
    pub fn dump(mut self, dumps: bool) -> Self {
        self.settings.dumps = dumps;
        self
    }

    /// Sets how long a poll may take before a `WARN` reports, while it lasts, that the task blocks its worker. With `None`
    /// nothing is reported. Default: 1 s.
    ///
    /// Each such poll is counted in [`TaskStats::slow_polls`](crate::TaskStats::slow_polls). The report comes at most a
    /// quarter of `limit` late, or 250 ms; twice that if the machine is busy. Time in which the process was stopped, or in
    /// which the thread waited for a processor, does not count. A poll inside `tokio::task::block_in_place` is reported
    /// too.
    ///
    /// # Panics
    ///
    /// If the limit is zero.
    #[track_caller]
    pub fn warn_blocked(mut self, limit: impl Into<Option<Duration>>) -> Self {
        let limit = limit.into();
        assert!(limit.is_none_or(|limit| !limit.is_zero()), "`warn_blocked` must be longer than 0");
        self.settings.warn_blocked = limit;
        self
    }

    /// Sets what to call for each poll that [`warn_blocked`](Self::warn_blocked) reports: an alert, for example.
    ///
    /// It runs on a separate thread, outside of the runtime. While it runs, nothing else is reported.
    pub fn on_blocked(mut self, call: impl Fn(&LiveTask) + Send + 'static) -> Self {
        self.on_blocked = Some(Box::new(call));
        self
    }

    /// Sets the builder of the runtime. [`run`](Self::run) enables its timer and I/O. Default: a multi-threaded runtime
    /// with a worker for each core.
    pub fn runtime(self, builder: &mut Builder) -> Main<'_> {
        Main { settings: self.settings, on_blocked: self.on_blocked, runtime: Some(builder) }
    }

    /// Runs the call that `app` makes from the root token, drains the pools, and returns the exit code.
    ///
    /// The exit code is that of the [attribute](crate::supervised::main#exit-codes). It is also 75 if the call did not stop
    /// within its own `grace`. After a signal that cut the work short, the process dies by that signal, and this does not
    /// return.
    ///
    /// # Panics
    ///
    /// If `linger` is not shorter than `grace`.
    #[track_caller]
    pub fn run<S, F>(self, app: F) -> ExitCode
    where
        F: FnOnce(CancellationToken) -> S,
        S: SupervisedFuture,
        Result<S::Value, S::Error>: Termination,
    {
        let Self { settings, on_blocked, runtime } = self;
        assert!(settings.linger < settings.grace, "`linger` must be shorter than `grace`");
        let mut own;
        let builder = match runtime {
            Some(builder) => builder.enable_all(),
            None => {
                own = RuntimeOptions::DEFAULT.builder();
                &mut own
            }
        };
        let program = match Program::start(settings, on_blocked, builder) {
            Ok(program) => program,
            Err(code) => return code,
        };
        let token = program.token.clone();
        let call = program.runtime.block_on(async { panic::catch(|| app(token)) });
        let call = match call {
            Ok(call) => call,
            Err(caught) => {
                _ = panicked(task_name::<S, F>(), caught);
                return program.finish(Outcome::Panicked, || ExitCode::from(PANICKED));
            }
        };
        let note = Cell::new(None);
        let task = BodyTask::of_main(call.spec(), &program.scope, &program.token);
        let TaskCompletion { outcome, overdue, result, .. } = {
            let mut call = pin!(call);
            task.drive(&program.runtime, |cx| {
                let poll_context = PollContext { note: Some(&note), ..PollContext::EMPTY };
                call.as_mut().poll_completion(cx, poll_context)
            })
        };
        // A call that was cut after its grace did not stop by itself.
        let outcome = if overdue { Outcome::Error } else { outcome };
        let is_unfinished = overdue || note.take().is_some_and(|note| note.carries_unfinished);
        program.finish(outcome, || {
            if outcome == Outcome::Panicked {
                panic::drop_quietly(result);
                return ExitCode::from(PANICKED);
            }
            let code = result.report();
            if is_unfinished { ExitCode::from(exit::UNFINISHED) } else { code }
        })
    }
}
