//! The statistics behind a mutex.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Statistics, Summary};

/// One lock around all numbers: a summary holds all of a line or nothing of it.
/// The lock blocks; it is held for a few instructions and never across an `.await`.
#[derive(Default)]
pub(crate) struct Locked(Mutex<Summary>);

impl Locked {
    /// A poisoned lock was held by a recorder that panicked. `record` can panic only if the number of lines overflows,
    /// and nothing has been changed by then.
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
