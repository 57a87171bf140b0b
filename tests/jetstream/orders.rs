//! Many orders, and what is to become of each.

use std::{collections::BTreeSet, env, fmt::Write as _};

/// How many jobs: `JOBS`, else few enough for each build.
pub(crate) fn jobs() -> usize {
    env::var("JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(2_000)
}

/// Orders of which every 500th panics, and every other 500th cannot be read.
#[derive(Default)]
pub(crate) struct Orders {
    /// What is published.
    pub(crate) lines: String,
    /// Every fourth of them, to be published a second time: one that were lost of the others would stay so.
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

    /// Those that can all be done.
    pub(crate) fn good(count: usize) -> Self {
        let mut orders = Self::default();
        for order in 0..count {
            writeln!(orders.lines, "{order} 2 {}", 2 * order).unwrap();
            orders.good.push((order.to_string(), i64::try_from(order).unwrap()));
        }
        orders
    }

    /// How many effects there are to be, and their sum.
    pub(crate) fn totals(&self) -> (i64, i64) {
        let count = self.good.len().try_into().unwrap();
        (count, self.good.iter().map(|(_, price)| price).sum())
    }
}
