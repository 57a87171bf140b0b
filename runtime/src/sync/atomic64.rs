//! The one place that names an atomic of 64 bits: some targets have none (32-bit PowerPC and MIPS, ARMv5).
//!
//! There it is a number behind a lock, as in tokio. A counter's lock is taken by the one thread that counts, and by the
//! code that reads the counters. `tests/spec/house` finds other uses, `.ci/supply` compiles for such a target.

#[cfg(target_has_atomic = "64")]
pub(crate) use std::sync::atomic::AtomicU64;

#[cfg(not(target_has_atomic = "64"))]
pub(crate) use locked::AtomicU64;

/// In the tests of every target.
#[cfg(any(test, not(target_has_atomic = "64")))]
#[cfg_attr(target_has_atomic = "64", allow(dead_code, reason = "only its own tests use it"))]
mod locked {
    use std::sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering};

    #[derive(Default)]
    pub(crate) struct AtomicU64(Mutex<u64>);

    /// The lock orders more than any [`Ordering`] asks for.
    impl AtomicU64 {
        pub(crate) const fn new(value: u64) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn load(&self, _: Ordering) -> u64 {
            *self.lock()
        }

        pub(crate) fn store(&self, value: u64, _: Ordering) {
            *self.lock() = value;
        }

        /// Wraps around, as `std`'s does.
        pub(crate) fn fetch_add(&self, value: u64, _: Ordering) -> u64 {
            let mut current = self.lock();
            let before = *current;
            *current = before.wrapping_add(value);
            before
        }

        fn lock(&self) -> MutexGuard<'_, u64> {
            // Nothing panics under it.
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use std::{sync::atomic::Ordering, thread};

    use super::locked::AtomicU64;

    #[test]
    fn the_locked_atomic_loses_no_addition() {
        static SUM: AtomicU64 = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        SUM.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(SUM.load(Ordering::Relaxed), 40_000);
    }

    #[test]
    fn the_locked_atomic_wraps_around() {
        let number = AtomicU64::default();
        number.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(number.fetch_add(2, Ordering::Relaxed), u64::MAX);
        assert_eq!(number.load(Ordering::Relaxed), 1);
    }
}
