//! What the runtime counts, for tests to compare with what they saw.

use tokio_supervised::{Outcome, TaskStats, stats};

/// The counters of a function. Tests give their functions names of their own.
#[track_caller]
pub fn stats_of(name: &str) -> TaskStats {
    stats().into_iter().find(|task| task.name == name).expect("the function has run")
}

/// The outcomes that are not zero.
#[track_caller]
pub fn outcomes_of(name: &str) -> Vec<(Outcome, u64)> {
    let stats = stats_of(name);
    let all = Outcome::ALL.iter().map(|outcome| (*outcome, stats.ended(*outcome)));
    all.filter(|(_, count)| *count > 0).collect()
}
