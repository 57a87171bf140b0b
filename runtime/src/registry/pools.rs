//! The names of pools, with what the pools of a name count together.
//!
//! Invariants
//!
//! 1. A name and its count of refusals stay when its pools are gone. Otherwise a scraper would see a counter that goes
//!    back. (`tests/exporters/pools.rs`)
//! 2. At most `MOST_NAMES` names are kept. Otherwise a name that is made for each pool would grow the process. (below)

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// How many names have series. A pool with another name is shown in the tree only.
const MOST_NAMES: usize = 1024;

static NAMES: Mutex<Names> = Mutex::new(Names(BTreeMap::new()));

struct Names(BTreeMap<&'static str, Arc<PoolName>>);

/// A name of pools, with what they count together.
pub(crate) struct PoolName {
    name: &'static str,
    refused: AtomicUsize,
}

impl PoolName {
    #[cfg(any(
        feature = "axum",
        feature = "metrics",
        feature = "opentelemetry",
        feature = "prometheus"
    ))]
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed) as u64
    }

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

/// Returns the entry that all pools of a name share.
pub(crate) fn named(name: &'static str) -> Arc<PoolName> {
    names().get(name)
}

/// Returns all names, in their order.
#[cfg(any(
    feature = "axum",
    feature = "metrics",
    feature = "opentelemetry",
    feature = "prometheus"
))]
pub(crate) fn all() -> Vec<Arc<PoolName>> {
    names().0.values().cloned().collect()
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
