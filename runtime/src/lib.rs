//! One attribute turns an async function into a task that is safe to run in production.
//!
//! ```
//! use tokio_supervised::{CancellationToken, map, supervised};
//!
//! /// Parses one line.
//! #[supervised(limit = 16, name = "parse", timeout = "10s")]
//! async fn parse(line: String) -> anyhow::Result<u32> {
//!     Ok(line.trim().parse()?)
//! }
//!
//! #[supervised::main] // SIGINT and SIGTERM cancel `token`
//! async fn main(token: CancellationToken) -> anyhow::Result<()> {
//!     let lines = ["1", "2", "3"].map(String::from);
//!     let numbers = map(&token, lines, parse).await?;
//!     assert_eq!(numbers, [1, 2, 3]);
//!     Ok(())
//! }
//! ```
//!
//! `parse` now takes a cancellation token first, runs at most 16 times at once, stops at its next `.await` when the
//! token fires, times out after 10 s, turns a panic into an `Err` with the backtrace of the panic site, and counts all
//! of that.
//!
//! | for | see |
//! |---|---|
//! | one function | [`supervised`](macro@supervised), [`Supervised`], [`TaskError`] |
//! | many runs of one function | [`map()`], [`map_stream()`], [`Results`] |
//! | tasks that succeed or fail together | [`Group`] |
//! | a program of several components | [`Services`], [`Ready`], [`ServicesHandle`] |
//! | tasks that outlive the code that spawned them | [`Pool`], [`Slot`], [`PoolTask`], [`Unfinished`] |
//! | one task of a group or a pool | [`TaskHandle`] |
//! | a future that is not a supervised function's | [`task!`] |
//! | a section that must not stop halfway | [`shield()`] |
//! | a section with a deadline | [`within()`], [`remaining()`] |
//! | a process that obeys signals | [`#[supervised::main]`](macro@supervised::main) |
//! | a test that fails if it leaks tasks | [`#[supervised::test]`](macro@supervised::test), [`LeakCheck`] |
//! | what has happened so far | [`stats()`], [`recent_panics()`] |
//! | what every task does now | [`tasks()`] |
//! | what every component does now | [`services()`] |
//! | a readiness probe | [`is_ready()`] |
//! | a limit that changes while it runs | [`set_limit()`] |
//!
//! # Guide
//!
//! The repository has a guide with a cookbook, a page on migration from `JoinSet`, `TaskTracker` and others, and one on
//! deployment. The words that this documentation uses are in the [glossary].
//!
//! # Features
//!
//! None is on by default, and each only adds. Functions are counted without any of them: a run pays nothing for an
//! exporter.
//!
//! | feature | brings |
//! |---|---|
//! | `prometheus` | `prometheus::text()`, what Prometheus scrapes; no further dependency |
//! | `metrics` | `publish_metrics()`, the same for the recorder of the [`metrics`](https://docs.rs/metrics) facade |
//! | `opentelemetry` | `register_metrics(&meter)`, the same as OpenTelemetry instruments |
//! | `axum` | `ops::listen(port)`, a page that shows it all, with metrics and probes; 503 with `Retry-After` for the refusals of pools and limits; implies `prometheus` and `serde` |
//! | `systemd` | `systemd::ready()`; `main` notifies systemd when it stops, and the watchdog while the runtime makes progress |
//! | `serde` | `Serialize` for `tasks()`, `stats()`, `recent_panics()` |
//! | `test-util` | `#[supervised::test(start_paused = true)]` |
//! | `panic-abort` | see [below](#panics-must-unwind) |
//!
//! # What is shared, and between whom
//!
//! A function's limit and counters are shared by all its callers in the process. Counters are striped: in
//! the steady state no two threads write the same cache line. The panic hook is installed at the first
//! supervised run, once, and calls the one before it first.
//!
//! # What a panic prints
//!
//! The hook runs first, then one `ERROR` event has the message and the place, and soon after it one `INFO` event has
//! the backtrace, from a dedicated thread: symbolising the first backtrace of a process would block a worker for some
//! 150 ms. `RUST_BACKTRACE=0` (or `RUST_LIB_BACKTRACE=0`) turns the second event off. `#[supervised::main]` waits for
//! it at its end, for at most half a second; another kind of `main` may end before it is logged. [`recent_panics`] has
//! the backtraces that were captured. More than ten panics a second of one function are counted and logged as one event a
//! second. A panic that comes while the backtrace of another one is being symbolised for its event waits at most 5 ms for that, and
//! then has no backtrace; the field `skipped` of the next such event counts them.
//!
//! With a `tracing` subscriber a panic is on stderr twice, since the default hook prints it too. If the event is
//! enough, set a silent hook before the first run. The body of `#[supervised::main]` is a run, so set the hook in a
//! `main` around it. (A hook that is set later, and does not call the previous one, loses the place and the backtrace
//! of the events.)
//!
//! ```no_run
//! # use tokio_supervised::supervised;
//! #[supervised::main]
//! async fn run() -> anyhow::Result<()> {
//!     // … install a subscriber, and work …
//!     Ok(())
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     std::panic::set_hook(Box::new(|_| {}));
//!     run()
//! }
//! ```
//!
//! # Panics must unwind
//!
//! With `panic = "abort"` a panic ends the process, and no boundary can catch it: the crate does not compile then,
//! unless the feature `panic-abort` accepts it. Everything else works in the same way.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(panic = "abort", not(feature = "panic-abort")))]
compile_error!(
    "with `panic = \"abort\"` a panic ends the process and no supervised function can catch it\nhelp: remove `panic = \"abort\"` from the profile in `Cargo.toml`, or accept it with `tokio-supervised = { features = [\"panic-abort\"] }`"
);

// The models' tokens are built from loom types; they replace tokio-util's in the whole crate.
#[cfg(all(test, supervised_loom))]
extern crate self as tokio_util;

mod bounded;
mod budget;
mod cause;
mod clock;
pub(crate) mod context;
mod deadline;
mod error;
pub(crate) mod function;
pub(crate) mod group;
pub(crate) mod map;
pub(crate) mod observe;
mod outcome;
mod panic;
pub(crate) mod pool;
pub(crate) mod process;
mod ready;
mod registry;
#[cfg(feature = "axum")]
mod respond;
mod run;
mod service_manager;
pub(crate) mod services;
mod sync;
pub(crate) mod tasks;
pub(crate) mod telemetry;
pub(crate) mod testing;
mod token;
mod tuning;

pub use crate::cause::{Cause, Signal};
pub use crate::error::{Cancelled, Panic, Rejected, TaskError, TimedOut, is_cancelled};
pub use crate::function::metrics::histogram::Histogram;
#[cfg(feature = "metrics")]
pub use crate::observe::exporters::metrics::publish_metrics;
#[cfg(feature = "opentelemetry")]
pub use crate::observe::exporters::otel::register_metrics;
#[cfg(feature = "prometheus")]
pub use crate::observe::exporters::prometheus;
#[cfg(feature = "axum")]
pub use crate::observe::ops;
pub use crate::outcome::Outcome;
pub use crate::panic::PanicLocation;
pub use crate::panic::recent::{RecentPanic, recent_panics};
pub use crate::process::main::Main;
pub use crate::token::AsToken;
pub use crate::{
    group::spawn::{HandleSpawn, Spawn},
    group::{Group, GroupHandle},
    map::{
        Map, Settled,
        item_source::{FromStream, MapInput},
        map, map_stream,
        stream::Results,
    },
    pool::Pool,
    pool::drain::Drained,
    pool::result::PoolTask,
    pool::slot::Slot,
    pool::spawn::PoolSpawn,
    tasks::blocking::Blocking,
    tasks::handle::TaskHandle,
    tasks::refused::{Closed, LoggedError, SpawnError, TrySpawnError, ZeroLimit},
};
pub use crate::{
    observe::set_limit::{SetLimit, SetLimitError, set_limit},
    observe::stats::{TaskStats, stats},
    observe::tasks::tasks,
};
pub use crate::{
    registry::live::{LiveTask, ParentTask, TaskState},
    registry::services::{ServiceState, ServiceStatus, is_ready, services},
    registry::snapshot::Tasks,
    registry::unfinished::Unfinished,
    registry::waits::AwaitFrame,
};
pub use crate::{
    run::boxed::BoxedTask,
    run::future::{ErrInto, Supervised, SupervisedFuture},
    run::output::SupervisedOutput,
    run::restart::Restarting,
    run::shield::{Shield, shield},
    run::tuned::Tuned,
    run::within::{Within, remaining, within},
};
pub use crate::{
    services::Services,
    services::error::{ServiceError, ServicesError, ServicesHandleError},
    services::handle::ServicesHandle,
    services::ready::Ready,
};
pub use crate::{testing::leak_check::LeakCheck, testing::leaks::Leaks};
#[doc = include_str!("docs/supervised.md")]
pub use tokio_supervised_macros::supervised;
#[doc = include_str!("docs/task.md")]
pub use tokio_supervised_macros::task;
pub use tokio_util::sync::CancellationToken;

/// Notifications to the service manager: for programs that systemd starts (`Type=notify`).
#[cfg(feature = "systemd")]
pub mod systemd {
    pub use crate::process::systemd::ready;
}

/// The attributes beside `#[supervised]`: `use tokio_supervised::supervised;` brings them all.
pub mod supervised {
    #[doc = include_str!("docs/main.md")]
    pub use tokio_supervised_macros::main;
    #[doc = include_str!("docs/test.md")]
    pub use tokio_supervised_macros::test;
}

#[doc = include_str!("docs/glossary.md")]
pub mod glossary {}

/// The items that generated code calls. Not part of the API: they change in any release.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        context::lines::{File, at, store},
        function::failure_level::FailureLevel,
        function::restart::Restart,
        function::{Policy, TaskSpec, checked},
        process::main::{MainOptions, exit, main},
        run::future::{supervise, supervise_foreign},
        run::output::{
            ByAnyError, ByAnything, ByBorrowedError, ByDebug, ByDisplay, ByError, ByResult,
            BySharedError, Probe, always_ok, declared, output, refused,
        },
        run::restart::args::{BodyFactory, ClonedForEachRun, RestartArg, restart_arg},
        run::restart::{
            Runs, every, recurring, restart_if, supervise_recurring, supervise_restarting,
        },
        testing::test::{TestOptions, test},
        token::{own_given_token, own_token, own_token_of_closure},
    };
}
