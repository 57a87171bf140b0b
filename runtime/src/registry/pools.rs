//! The named pools of the process, as the exporters and the ops page see them.
//!
//! Invariants
//!
//! 1. The pools of one name are summed: no label set appears twice, which a scrape would reject.
//! 2. A name and its count of refusals stay when its pools are gone. Otherwise a scraper would see a counter that goes
//!    back.
//! 3. At most `MOST_NAMES` names are kept. Otherwise a name that is made for each pool would grow the process.
//!
//! `tests/exporters/pools.rs` checks 1 and 2, a test below 3.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::registry::{POOLS, PoolUsage};

/// How many names have series. A pool with another name is shown in the tree only.
const MOST_NAMES: usize = 1024;

static NAMES: Mutex<Names> = Mutex::new(Names(BTreeMap::new()));

struct Names(BTreeMap<&'static str, Arc<PoolName>>);

/// A name of pools, with what they count together.
pub(crate) struct PoolName {
    name: &'static str,
    refused: AtomicUsize,
}

/// The pools of one name.
#[derive(Clone)]
pub(crate) struct PoolStatus {
    pub(crate) name: &'static str,
    pub(crate) slots: u64,
    pub(crate) in_use: u64,
    pub(crate) waiting: u64,
    /// Spawns and reservations that were refused since the start of the process.
    pub(crate) refused: u64,
}

impl PoolName {
    pub(crate) fn as_str(&self) -> &'static str {
        self.name
    }

    /// Counts a spawn or a reservation that was refused.
    pub(crate) fn record_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

impl Names {
    /// Returns the shared entry of a name. Beyond `MOST_NAMES` it is not kept.
    fn get(&mut self, name: &'static str) -> Arc<PoolName> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let new = Arc::new(PoolName { name, refused: AtomicUsize::new(0) });
        if self.0.len() < MOST_NAMES {
            self.0.insert(name, new.clone());
        }
        new
    }
}

impl PoolStatus {
    fn unused(name: &PoolName) -> Self {
        let refused = name.refused.load(Ordering::Relaxed) as u64;
        Self { name: name.name, slots: 0, in_use: 0, waiting: 0, refused }
    }

    fn add(&mut self, usage: PoolUsage) {
        self.slots = self.slots.saturating_add(usage.slots as u64);
        self.in_use += usage.in_use as u64;
        self.waiting += usage.waiting as u64;
    }
}

/// Returns the entry that all pools of a name share.
pub(crate) fn named(name: &'static str) -> Arc<PoolName> {
    names().get(name)
}

/// Returns the named pools, in the order of their names. Those of one name are summed.
pub(crate) fn pools() -> Vec<PoolStatus> {
    let mut all: BTreeMap<_, _> =
        names().0.values().map(|name| (name.name, PoolStatus::unused(name))).collect();
    if all.is_empty() {
        return Vec::new();
    }
    for pool in POOLS.all() {
        let Some((name, usage)) = pool.usage() else { continue };
        if let Some(status) = all.get_mut(name) {
            status.add(usage);
        }
    }
    all.into_values().collect()
}

fn names() -> MutexGuard<'static, Names> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_are_not_kept() {
        let mut names = Names(BTreeMap::new());
        let text = "x".repeat(MOST_NAMES + 1);
        let text: &'static str = text.leak();
        (1..=MOST_NAMES + 1).for_each(|length| drop(names.get(&text[..length])));
        assert_eq!(names.0.len(), MOST_NAMES);
        let shared = |names: &mut Names, length| {
            Arc::ptr_eq(&names.get(&text[..length]), &names.get(&text[..length]))
        };
        assert!(shared(&mut names, 1) && !shared(&mut names, MOST_NAMES + 1));
    }
}
