//! The soak's own counters, compared with `stats()`.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use testkit::counters::Done;
use tokio_supervised::{Outcome, TaskStats, stats};

/// The counters of one function.
pub(crate) struct Account {
    name: &'static str,
    /// Bodies that started.
    started: AtomicU64,
    /// Bodies that were dropped before their end.
    stopped: AtomicU64,
    /// By outcome, as recorded by the body itself or as returned to the caller.
    ended: [AtomicU64; Outcome::ALL.len()],
    /// Whether the caller learns the outcome of each run.
    by_callers: bool,
    /// Calls of a restarting function: all runs but the first of each are restarts.
    pub(crate) calls: AtomicU64,
}

/// A driver calls each run, and learns how it ended or drops it.
pub(crate) static CALLS: Account = Account::of("soak: call", true);
pub(crate) static ITEMS: Account = Account::of("soak: item", false);
pub(crate) static JOBS: Account = Account::of("soak: job", false);
pub(crate) static MEMBERS: Account = Account::of("soak: member", false);
pub(crate) static RESTARTED: Account = Account::of("soak: restarted", false);
pub(crate) static SECTIONS: Account = Account::of("soak: section", false);
pub(crate) static BLOCKS: Account = Account::of("soak: blocks", false);
pub(crate) static BLOCKS_IN_A_POOL: Account = Account::of("soak: blocks in a pool", false);
pub(crate) static FOREIGN: Account = Account::of("soak: foreign", false);

pub(crate) static LASTING_CALLS: Account = Account::of("soak: lasting call", false);
pub(crate) static LASTING_ITEMS: Account = Account::of("soak: lasting item", false);
pub(crate) static LASTING_JOBS: Account = Account::of("soak: lasting job", false);
pub(crate) static LASTING_MEMBERS: Account = Account::of("soak: lasting member", false);
pub(crate) static LASTING_RESTARTED: Account = Account::of("soak: lasting restarted", false);
pub(crate) static LASTING_SECTIONS: Account = Account::of("soak: lasting section", false);
pub(crate) static LASTING_BLOCKS: Account = Account::of("soak: lasting blocks", false);
pub(crate) static LASTING_GENERATIONS: Account = Account::of("soak: lasting generation", false);

/// Compared at the end of each round.
pub(crate) static ROUND: Accounts =
    &[&CALLS, &ITEMS, &JOBS, &MEMBERS, &RESTARTED, &SECTIONS, &BLOCKS, &BLOCKS_IN_A_POOL, &FOREIGN];
/// Of functions that run throughout the soak: compared at its end.
pub(crate) static LASTING: Accounts = &[
    &LASTING_CALLS,
    &LASTING_ITEMS,
    &LASTING_JOBS,
    &LASTING_MEMBERS,
    &LASTING_RESTARTED,
    &LASTING_SECTIONS,
    &LASTING_BLOCKS,
    &LASTING_GENERATIONS,
];

pub(crate) type Accounts = &'static [&'static Account];

impl Account {
    const fn of(name: &'static str, by_callers: bool) -> Self {
        Self {
            name,
            started: AtomicU64::new(0),
            stopped: AtomicU64::new(0),
            ended: [const { AtomicU64::new(0) }; Outcome::ALL.len()],
            by_callers,
            calls: AtomicU64::new(0),
        }
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        self.ended[outcome as usize].fetch_add(1, Relaxed);
    }

    fn balance(&self, stats: &TaskStats) {
        let name = self.name;
        let counted_by_stats = |outcome| stats.ended(outcome);
        let counted = |outcome: Outcome| self.ended[outcome as usize].load(Relaxed);
        let sum: u64 = Outcome::ALL.into_iter().map(counted_by_stats).sum();
        assert_eq!(Done::of(stats).complaint(), None, "{name}");
        assert!(stats.durations.count() <= stats.started, "{name}");
        let (started, stopped) = (self.started.load(Relaxed), self.stopped.load(Relaxed));
        let by_itself = [Outcome::Ok, Outcome::Error, Outcome::Panicked];
        for outcome in Outcome::ALL {
            if self.by_callers || by_itself.contains(&outcome) {
                assert_eq!(
                    counted(outcome),
                    counted_by_stats(outcome),
                    "{name}: {outcome}, {}",
                    report_on(self)
                );
            }
        }
        let ended_by_itself: u64 = by_itself.into_iter().map(counted_by_stats).sum();
        assert_eq!(started, ended_by_itself + stopped, "{name}: bodies");
        let others = sum - ended_by_itself;
        assert!(stopped <= others, "{name}: {stopped} were stopped, and {others} counted");
        // A body that waits only for its timeout is stopped by it, or by an earlier event.
        assert!(counted_by_stats(Outcome::TimedOut) <= stopped, "{name}: timed out without a body");
        let again = started.max(stats.started) - self.calls.load(Relaxed);
        if self.calls.load(Relaxed) > 0 {
            assert_eq!(stats.restarts, again, "{name}: restarts");
        } else {
            assert_eq!(stats.restarts, 0, "{name}: restarts");
        }
    }
}

/// Records one body.
pub(crate) struct Entry(Option<&'static Account>);

impl Entry {
    pub(crate) fn new(account: &'static Account) -> Self {
        account.started.fetch_add(1, Relaxed);
        Self(Some(account))
    }

    /// The body ends with the next step, without an `.await` in between.
    pub(crate) fn ends(mut self, outcome: Outcome) {
        let account = self.0.take().expect("it ends once");
        if !account.by_callers {
            account.ended(outcome);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(account) = self.0 {
            account.stopped.fetch_add(1, Relaxed);
        }
    }
}

fn stats_of(accounts: Accounts) -> impl Iterator<Item = (&'static Account, TaskStats)> {
    let mut stats = stats();
    accounts.iter().filter_map(move |account| {
        let at = stats.iter().position(|each| each.name == account.name)?;
        Some((*account, stats.swap_remove(at)))
    })
}

fn all_stats() -> impl Iterator<Item = (&'static Account, TaskStats)> {
    stats_of(ROUND).chain(stats_of(LASTING))
}

pub(crate) fn anything_runs(accounts: Accounts) -> bool {
    stats_of(accounts).any(|(_, stats)| stats.running + stats.waiting > 0)
}

/// Compares these counters with those of the crate.
pub(crate) fn balance(accounts: Accounts) {
    stats_of(accounts).for_each(|(account, stats)| account.balance(&stats));
}

/// Whether every function has run.
pub(crate) fn each_has_run() -> bool {
    all_stats().count() == ROUND.len() + LASTING.len()
}

/// How many runs of the function the crate has counted.
pub(crate) fn started(account: &Account) -> u64 {
    let found = stats().into_iter().find(|stats| stats.name == account.name);
    found.map_or(0, |stats| stats.started)
}

/// How many runs of all functions the crate has counted.
pub(crate) fn all_started() -> u64 {
    all_stats().map(|(_, stats)| stats.started).sum()
}

fn report_on(account: &Account) -> String {
    let found = all_stats().find(|(each, _)| each.name == account.name);
    found.map(|(_, stats)| format!("{stats:?}")).unwrap_or_default()
}

/// A report on each function.
pub(crate) fn report() -> String {
    all_stats().map(|(_, stats)| format!("{stats:?}\n")).collect()
}

/// Runs, runs per second, and outcomes.
pub(crate) fn totals(within: Duration) -> String {
    let sum = |value: &dyn Fn(&TaskStats) -> u64| -> u64 {
        all_stats().map(|(_, stats)| value(&stats)).sum()
    };
    let started = sum(&|stats| stats.started);
    let mut text = format!("{started} runs, {:.0} a second", started as f64 / within.as_secs_f64());
    for outcome in Outcome::ALL {
        let ended = sum(&|stats| stats.ended(outcome));
        write!(text, ", {ended} {outcome}").expect("writing to a `String` cannot fail");
    }
    write!(text, "; {} restarts", sum(&|stats| stats.restarts))
        .expect("writing to a `String` cannot fail");
    text
}
