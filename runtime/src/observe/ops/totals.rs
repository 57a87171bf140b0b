//! The sums over all functions, including functions that a snapshot omits.

use serde_json::{Map, Value, json};

use crate::{observe::stats::TaskStats, outcome::Outcome};

pub(crate) struct Totals {
    waiting: u64,
    ended: [u64; Outcome::ALL.len()],
}

impl Totals {
    pub(crate) fn of(functions: &[TaskStats]) -> Self {
        let sum = |value: &dyn Fn(&TaskStats) -> u64| functions.iter().map(value).sum();
        Self {
            waiting: sum(&|each| each.waiting),
            ended: Outcome::ALL.map(|outcome| sum(&|each| each.ended(outcome))),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let ended = Outcome::ALL.iter().zip(self.ended);
        let ended: Map<_, _> =
            ended.map(|(outcome, count)| (outcome.as_str().to_owned(), count.into())).collect();
        json!({ "waiting": self.waiting, "ended": ended })
    }
}
