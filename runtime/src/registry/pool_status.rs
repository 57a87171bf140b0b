//! The named pools of the process, as the exporters and the ops page see them. The pools of one name are summed: no label
//! set appears twice, which a scrape would reject. (`tests/exporters/pools.rs`)

use std::collections::BTreeMap;

use crate::registry::{POOLS, PoolUsage, pools, pools::PoolName};

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

impl PoolStatus {
    fn unused(name: &PoolName) -> Self {
        Self { name: name.as_str(), slots: 0, in_use: 0, waiting: 0, refused: name.refused() }
    }

    fn add(&mut self, usage: PoolUsage) {
        self.slots = self.slots.saturating_add(usage.slots as u64);
        self.in_use += usage.in_use as u64;
        self.waiting += usage.waiting as u64;
    }
}

/// Returns the named pools, in the order of their names. Those of one name are summed.
pub(crate) fn pools() -> Vec<PoolStatus> {
    let names = pools::all();
    let mut all: BTreeMap<_, _> =
        names.iter().map(|name| (name.as_str(), PoolStatus::unused(name))).collect();
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
