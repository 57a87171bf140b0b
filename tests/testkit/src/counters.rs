//! Compares the runtime's counters with the runs that a test observed.
//!
//! `tests/schedules` compiles this file a second time, with its own `std` and `tokio`.

use tokio_supervised::{Outcome, TaskStats, stats};

/// The counters of a function. Each test names its functions differently.
#[track_caller]
pub fn stats_of(name: &str) -> TaskStats {
    find(name).expect("the function has run")
}

/// The outcomes that are not zero.
#[track_caller]
pub fn outcomes_of(name: &str) -> Vec<(Outcome, u64)> {
    let stats = stats_of(name);
    let all = Outcome::ALL.iter().map(|outcome| (*outcome, stats.ended(*outcome)));
    all.filter(|(_, count)| *count > 0).collect()
}

fn find(name: &str) -> Option<TaskStats> {
    stats().into_iter().find(|task| task.name == name)
}

/// The counters of a function at one moment.
#[derive(Debug)]
pub struct Since {
    name: &'static str,
    before: Option<TaskStats>,
}

impl Since {
    pub fn now(name: &'static str) -> Self {
        Self { name, before: find(name) }
    }

    /// Returns the change of the counters since then.
    pub fn done(&self) -> Done {
        let now = find(self.name).map_or_else(Done::default, |stats| Done::of(&stats));
        let before = self.before.as_ref().map_or_else(Done::default, Done::of);
        now.since(&before)
    }

    /// The same. Fails unless all runs have ended, each of them counted once.
    #[track_caller]
    pub fn all_ended(&self) -> Done {
        let done = self.done();
        if let Some(complaint) = done.complaint() {
            panic!("{}: {complaint}", self.name);
        }
        done
    }
}

/// How many runs of a function were started, are not over, and ended in each way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub started: u64,
    pub running: u64,
    pub waiting: u64,
    ended: [u64; Outcome::ALL.len()],
}

impl Done {
    pub fn of(stats: &TaskStats) -> Self {
        Self {
            started: stats.started,
            running: stats.running,
            waiting: stats.waiting,
            ended: Outcome::ALL.map(|outcome| stats.ended(outcome)),
        }
    }

    fn since(mut self, before: &Self) -> Self {
        self.started -= before.started;
        self.ended.iter_mut().zip(before.ended).for_each(|(now, before)| *now -= before);
        self
    }

    /// How many ended in this way.
    pub fn ended(&self, outcome: Outcome) -> u64 {
        let all = Outcome::ALL.iter().zip(self.ended);
        all.filter(|(each, _)| **each == outcome).map(|(_, count)| count).sum()
    }

    /// How many ended.
    pub fn all(&self) -> u64 {
        self.ended.iter().sum()
    }

    /// The imbalance of a function whose runs have all ended, if there is one.
    pub fn complaint(&self) -> Option<String> {
        let Self { started, running, waiting, .. } = *self;
        let ended = self.all();
        ((started, running, waiting) != (ended, 0, 0)).then(|| {
            format!("{started} started, {ended} ended, {running} running, {waiting} waiting")
        })
    }
}
