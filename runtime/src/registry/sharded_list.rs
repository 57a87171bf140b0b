//! A list of weak references. An entry is removed when its [`Registration`] is dropped.
//!
//! The list is in shards, and each thread inserts into one of them: threads that register scopes do not contend.
//!
//! Invariants, checked for every interleaving by `sharded_list/loom.rs`
//!
//! 1. An entry is found as long as it is alive and registered. Otherwise a task could be missing from a snapshot, or a
//!    pool from the last drain.
//! 2. Only its own [`Registration`] removes an entry, and its key is reused only after that. Otherwise the drop of one
//!    scope would remove another.

use std::{
    cell::Cell,
    sync::{Arc, PoisonError, Weak},
};

use crate::registry::slab::{Key, Slab};
use crate::{
    sync,
    sync::{Mutex, MutexGuard, atomic::AtomicUsize, atomic::Ordering},
};

/// One in the models, to make all threads contend.
const SHARDS: usize = if cfg!(all(test, supervised_loom)) { 1 } else { 16 };

pub(crate) struct ShardedList<T: ?Sized> {
    shards: [Shard<T>; SHARDS],
}

/// Aligned: each shard has its own cache line.
#[repr(align(128))]
struct Shard<T: ?Sized>(Mutex<Slab<Weak<T>>>);

impl<T: ?Sized> Shard<T> {
    fn list(&self) -> MutexGuard<'_, Slab<Weak<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> ShardedList<T> {
    sync::const_fn! {
        pub(crate) const fn new() -> Self {
            Self { shards: sync::each![Shard(Mutex::new(Slab::new())); SHARDS] }
        }
    }

    pub(crate) fn register(&'static self, one: Weak<T>) -> Registration<T> {
        let shard = &self.shards[shard_of_this_thread()];
        let key = shard.list().insert(one);
        Registration { shard, key }
    }

    /// Returns the live entries, shard by shard.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.list().iter().filter_map(Weak::upgrade));
        }
        all
    }
}

/// Keeps an entry in its list.
pub(crate) struct Registration<T: ?Sized + 'static> {
    shard: &'static Shard<T>,
    key: Key,
}

impl<T: ?Sized> Drop for Registration<T> {
    fn drop(&mut self) {
        let left = self.shard.list().remove(self.key);
        // It may be the last reference to the memory.
        drop(left);
    }
}

#[cfg(all(test, supervised_loom))]
mod loom;

fn shard_of_this_thread() -> usize {
    sync::global! {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
    }
    sync::thread_local! {
        static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let shard = SHARD.try_with(|shard| {
        shard.get().unwrap_or_else(|| {
            let next = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
            shard.set(Some(next));
            next
        })
    });
    shard.unwrap_or(0)
}
