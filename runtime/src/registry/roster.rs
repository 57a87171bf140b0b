//! A list of what lives somewhere else: whoever is listed is taken off when its [`Listed`] is dropped.
//!
//! It is in parts, and each thread uses one of them: scopes that come and go on many threads do not meet.
//!
//! Invariants, checked for every interleaving by `roster/loom.rs`
//!
//! 1. Who is listed is found from then on, as long as it is there, until it is taken off.
//! 2. It is taken off by its own [`Listed`] alone: its place is given to another one only after that.

use std::{
    cell::Cell,
    sync::{Arc, PoisonError, Weak},
};

use super::slab::{Key, Slab};
use crate::sync::{
    self, Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

/// In the models all threads meet in one.
const PARTS: usize = if cfg!(all(test, supervised_loom)) { 1 } else { 16 };

pub(crate) struct Roster<T: ?Sized> {
    parts: [Part<T>; PARTS],
}

/// In a cache line of its own.
#[repr(align(128))]
struct Part<T: ?Sized>(Mutex<Slab<Weak<T>>>);

impl<T: ?Sized> Part<T> {
    fn list(&self) -> MutexGuard<'_, Slab<Weak<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Roster<T> {
    sync::const_fn! {
        pub(crate) const fn new() -> Self {
            Self { parts: sync::each![Part(Mutex::new(Slab::new())); PARTS] }
        }
    }

    pub(crate) fn list(&'static self, one: Weak<T>) -> Listed<T> {
        let part = &self.parts[part_of_this_thread()];
        let key = part.list().insert(one);
        Listed { part, key }
    }

    /// Those that are there at this moment, part by part.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        let mut all = Vec::new();
        for part in &self.parts {
            all.extend(part.list().iter().filter_map(Weak::upgrade));
        }
        all
    }
}

/// Keeps something in its list.
pub(crate) struct Listed<T: ?Sized + 'static> {
    part: &'static Part<T>,
    key: Key,
}

impl<T: ?Sized> Drop for Listed<T> {
    fn drop(&mut self) {
        let left = self.part.list().remove(self.key);
        // It may be the last that keeps the memory.
        drop(left);
    }
}

#[cfg(all(test, supervised_loom))]
mod loom;

fn part_of_this_thread() -> usize {
    sync::global! {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
    }
    sync::thread_local! {
        static PART: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let part = PART.try_with(|part| {
        part.get().unwrap_or_else(|| {
            let next = NEXT.fetch_add(1, Ordering::Relaxed) % PARTS;
            part.set(Some(next));
            next
        })
    });
    part.unwrap_or(0)
}
