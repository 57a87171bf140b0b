//! Many orders, and the expected outcome of each.

use std::{collections::BTreeSet, env, fmt::Write as _};

/// Returns the number of jobs: `JOBS`, or a small default.
pub(crate) fn jobs() -> usize {
    env::var("JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(2_000)
}

/// Orders: one in 500 panics, and one in 500 cannot be parsed.
#[derive(Default)]
pub(crate) struct Orders {
    /// The input of the publisher.
    pub(crate) lines: String,
    /// Every fourth line, to be published twice. Not all of them: that would hide a lost order.
    pub(crate) again: String,
    /// Ids and prices, in the order of the ids' numbers.
    pub(crate) good: Vec<(String, i64)>,
    pub(crate) bad: BTreeSet<String>,
}

impl Orders {
    pub(crate) fn new(count: usize) -> Self {
        let mut orders = Self::default();
        for order in 0..count {
            let items = match order % 500 {
                123 => "0",
                321 => "many",
                _ => "2",
            };
            let line = format!("{order} {items} {}", 2 * order);
            writeln!(orders.lines, "{line}").unwrap();
            if order % 4 == 0 {
                writeln!(orders.again, "{line}").unwrap();
            }
            if items == "2" {
                orders.good.push((order.to_string(), i64::try_from(order).unwrap()));
            } else {
                orders.bad.insert(order.to_string());
            }
        }
        orders
    }

    /// Creates orders that all succeed.
    pub(crate) fn good(count: usize) -> Self {
        let mut orders = Self::default();
        for order in 0..count {
            writeln!(orders.lines, "{order} 2 {}", 2 * order).unwrap();
            orders.good.push((order.to_string(), i64::try_from(order).unwrap()));
        }
        orders
    }

    /// Returns the expected number of effects, and their sum.
    pub(crate) fn totals(&self) -> (i64, i64) {
        let count = self.good.len().try_into().unwrap();
        (count, self.good.iter().map(|(_, price)| price).sum())
    }
}
