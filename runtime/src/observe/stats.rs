//! What every supervised function has done since the process started.

use std::panic::Location;

use crate::{
    function::TaskSpec, function::metrics::Totals, function::metrics::histogram::Histogram,
    outcome::Outcome,
};

/// What one supervised function has done since the process started.
///
/// The numbers are read one after another while runs go on: each is exact, `running` is never negative,
/// and when nothing runs they add up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskStats {
    /// The function's `name`. Functions may share one.
    pub name: &'static str,
    /// Where the function is.
    pub place: &'static Location<'static>,
    /// Runs that began, those included that ended before they had their permit.
    pub started: u64,
    /// Runs whose body is under way.
    pub running: u64,
    /// Runs that wait for a permit, or to be spawned.
    pub waiting: u64,
    /// Runs that followed another one of the same call: see `restart`.
    pub restarts: u64,
    /// The function's `limit`.
    pub limit: Option<usize>,
    /// How long the runs took, from the permit to the end, in real time.
    pub durations: Histogram,
    /// How long the runs of a limited function waited for their permits, in real time.
    pub permit_waits: Histogram,
    ended: [u64; Outcome::ALL.len()],
}

impl TaskStats {
    /// How many runs ended so.
    #[must_use]
    pub fn ended(&self, outcome: Outcome) -> u64 {
        self.ended[outcome as usize]
    }

    pub(crate) fn of(spec: &'static TaskSpec) -> Self {
        let totals = spec.metrics().totals();
        let running = totals.running();
        let Totals { started, ended, waiting, restarts, durations, permit_waits } = totals;
        Self {
            name: spec.name(),
            place: spec.place(),
            started,
            running,
            waiting,
            restarts,
            limit: spec.limit().map(crate::function::limit::Limit::size),
            durations,
            permit_waits,
            ended,
        }
    }
}

/// What each supervised function that was called has done since the process started, in the order of
/// their first calls.
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
