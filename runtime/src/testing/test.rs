//! Runs a test: it makes a runtime, runs the body, and checks for leaks.
//!
//! Invariants, checked by `tests/leaks/`
//!
//! 1. A test that fails by itself is not checked for leaks: they are a consequence, and would hide the failure.
//! 2. The test ends regardless of leaks: every wait has a limit. Otherwise one leak would hang all tests.
//! 3. Tasks in another runtime belong to another test. Otherwise parallel tests would fail each other.
//! 4. Pending counts of failures and backtraces are logged before the test ends, within a limit: the process may end
//!    with the last test. (`tests/spec/composition/group_reports.rs`)

use std::{future::Future, panic::resume_unwind, sync::Arc, time::Duration};

use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{
    context::tree::watch, error::TaskError, function::TaskSpec, outcome::Outcome, panic,
    run::output::Judge, tasks::body_task::BodyTask, tasks::runtime_options::RuntimeOptions,
    telemetry::flush,
};
use crate::{
    testing::attempts::Attempts, testing::driver::Driver, testing::leak_check::LeakCheck,
    testing::threads::Threads,
};

/// How long the test waits for the remaining tasks to be dropped.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// The same limit after the check has found leaks, which do not stop.
const SHUTDOWN_OF_LEAKS: Duration = Duration::from_millis(100);

/// The arguments of `#[supervised::test]`.
#[derive(Clone, Copy)]
pub struct TestOptions {
    runtime: RuntimeOptions,
    #[cfg(feature = "test-util")]
    start_paused: bool,
    leaks_allowed: bool,
}

impl TestOptions {
    /// A worker for each core, and a check for leaks.
    pub const DEFAULT: Self = Self {
        runtime: RuntimeOptions::DEFAULT,
        #[cfg(feature = "test-util")]
        start_paused: false,
        leaks_allowed: false,
    };

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

    /// `start_paused = true`.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub const fn start_paused(mut self) -> Self {
        self.start_paused = true;
        self
    }

    /// `leaks = "allow"`.
    #[must_use]
    pub const fn allow_leaks(mut self) -> Self {
        self.leaks_allowed = true;
        self
    }

    fn start_runtime(&self) -> std::io::Result<(Runtime, Arc<Threads>)> {
        let mut builder = self.runtime.builder();
        #[cfg(feature = "test-util")]
        builder.start_paused(self.start_paused);
        let threads = Threads::of(&mut builder);
        Ok((builder.build()?, threads))
    }
}

/// Runs the body of a test and returns its value. Resumes the panic of the body, and panics if it leaked anything.
#[track_caller]
pub fn test<B, F>(
    options: TestOptions,
    spec: &'static TaskSpec,
    verdict: Judge<F::Output>,
    body: B,
) -> F::Output
where
    B: FnOnce(CancellationToken) -> F,
    F: Future,
{
    panic::hook::install();
    watch::start();
    let (runtime, threads) = options
        .start_runtime()
        .unwrap_or_else(|error| panic!("failed to start the runtime of the test: {error}"));
    let check = LeakCheck::of_test(spec.name(), runtime.handle().clone(), threads);
    let token = CancellationToken::new();
    let task = BodyTask::new(spec, &token);
    let run_result = task.block_on(&runtime, token, verdict, body);
    let is_judged = run_result.outcome == Outcome::Ok && !options.leaks_allowed;

    let mut attempts = Attempts::new();
    let found = match check.check_once(&mut attempts) {
        None => {
            runtime.shutdown_timeout(SHUTDOWN);
            Ok(())
        }
        Some(found) if is_judged => {
            let driver = Driver::start(runtime);
            let found = check.verify_from_outside(attempts, found);
            driver.stop(if found.is_ok() { SHUTDOWN } else { SHUTDOWN_OF_LEAKS });
            found
        }
        Some(_) => {
            Driver::shut_down(runtime, SHUTDOWN);
            Ok(())
        }
    };
    flush::all();
    match run_result.result {
        Ok(value) => {
            if let Err(leaks) = found {
                panic!("{leaks}");
            }
            value
        }
        Err(TaskError::Panicked(panic)) => resume_unwind(panic.into_payload()),
        Err(error) => panic!("{error}"),
    }
}
