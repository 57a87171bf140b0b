//! The counters of every supervised function.

use std::panic::Location;

use crate::{
    function::TaskSpec, function::metrics::Totals, function::metrics::histogram::Histogram,
    outcome::Outcome,
};

/// The counters of one supervised function since the process started.
///
/// They are read one after another while runs continue: each is exact, `running` is never negative, and they add up when
/// nothing runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskStats {
    /// The function's `name`. Functions may share one.
    pub name: &'static str,
    /// The place of the function in the source.
    pub place: &'static Location<'static>,
    /// Runs that started, including runs that ended before they got a permit.
    pub started: u64,
    /// Runs whose body is running.
    pub running: u64,
    /// Runs that wait for a permit, or to be spawned.
    pub waiting: u64,
    /// Runs that restarted a call: see `restart`.
    pub restarts: u64,
    /// Polls that were reported to block their worker: see [`Main::warn_blocked`](crate::Main::warn_blocked).
    pub slow_polls: u64,
    /// The function's `limit`.
    pub limit: Option<usize>,
    /// The durations of the runs, from the permit to the end, in real time.
    pub durations: Histogram,
    /// The times that runs of a limited function waited for their permits, in real time.
    pub permit_waits: Histogram,
    ended: [u64; Outcome::ALL.len()],
}

impl TaskStats {
    /// Returns the number of runs with that outcome.
    #[must_use]
    pub fn ended(&self, outcome: Outcome) -> u64 {
        self.ended[outcome as usize]
    }

    pub(crate) fn of(spec: &'static TaskSpec) -> Self {
        let totals = spec.metrics().totals();
        let running = totals.running();
        let Totals { started, ended, waiting, restarts, slow_polls, durations, permit_waits } =
            totals;
        Self {
            name: spec.name(),
            place: spec.place(),
            started,
            running,
            waiting,
            restarts,
            slow_polls,
            limit: spec.limit().map(crate::function::limit::Limit::size),
            durations,
            permit_waits,
            ended,
        }
    }
}

/// Returns the counters of each supervised function that was called since the process started, in the order of the first
/// calls.
///
/// ```
/// # use tokio_supervised::{supervised, stats, CancellationToken, Outcome, TaskError};
/// #[supervised(name = "answer")]
/// async fn answer() -> Result<u32, TaskError> { Ok(42) }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TaskError> {
/// answer(&CancellationToken::new()).await?;
/// let stats = stats();
/// let answer = stats.iter().find(|task| task.name == "answer").unwrap();
/// assert_eq!((answer.started, answer.ended(Outcome::Ok), answer.running), (1, 1, 0));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn stats() -> Vec<TaskStats> {
    TaskSpec::all().into_iter().map(TaskStats::of).collect()
}
