//! The statistics behind a mutex.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Statistics, Summary};

/// One lock around all numbers: a summary holds all of a line or nothing of it.
///
/// The lock is a blocking one, held for a few instructions and never across an `.await`.
#[derive(Default)]
pub(crate) struct Locked(Mutex<Summary>);

impl Locked {
    /// A poisoned lock has been held by a recorder that panicked, and it cannot: nothing in `record` does
    /// but an overflow of the number of lines, in which nothing has been changed yet.
    fn lock(&self) -> MutexGuard<'_, Summary> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Statistics for Locked {
    fn record(&self, words: u64) {
        self.lock().record(words);
    }

    fn summary(&self) -> Summary {
        self.lock().clone()
    }
}
