//! A list of what lives somewhere else: whoever is listed is taken off when its [`Registration`] is dropped.
//!
//! It is in parts, and each thread uses one of them: scopes that come and go on many threads do not meet.
//!
//! Invariants, checked for every interleaving by `sharded_list/loom.rs`
//!
//! 1. Who is listed is found from then on, as long as it is there, until it is taken off.
//! 2. It is taken off by its own [`Registration`] alone: its place is given to another one only after that.

use std::{
    cell::Cell,
    sync::{Arc, PoisonError, Weak},
};

use crate::registry::slab::{Key, Slab};
use crate::{
    sync,
    sync::{Mutex, MutexGuard, atomic::AtomicUsize, atomic::Ordering},
};

/// In the models all threads meet in one.
const SHARDS: usize = if cfg!(all(test, supervised_loom)) { 1 } else { 16 };

pub(crate) struct ShardedList<T: ?Sized> {
    shards: [Shard<T>; SHARDS],
}

/// In a cache line of its own.
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

    /// Those that are there at this moment, part by part.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.list().iter().filter_map(Weak::upgrade));
        }
        all
    }
}

/// Keeps something in its list.
pub(crate) struct Registration<T: ?Sized + 'static> {
    shard: &'static Shard<T>,
    key: Key,
}

impl<T: ?Sized> Drop for Registration<T> {
    fn drop(&mut self) {
        let left = self.shard.list().remove(self.key);
        // It may be the last that keeps the memory.
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
