//! Atomics: before each access, another task may run.
//!
//! All accesses are `SeqCst`: effects of weaker orders are not explored.

pub use ::std::sync::atomic::{Ordering, fence};

use ::std::{fmt, sync::atomic};

use crate::step::step;

macro_rules! any_atomic {
    ($name:ident, $value:ty) => {
        /// As in `std`.
        #[derive(Default)]
        pub struct $name(atomic::$name);

        impl $name {
            /// Creates one with a value.
            pub const fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            /// The value.
            pub fn load(&self, _: Ordering) -> $value {
                step();
                self.0.load(Ordering::SeqCst)
            }

            /// Stores a value.
            pub fn store(&self, value: $value, _: Ordering) {
                step();
                self.0.store(value, Ordering::SeqCst);
            }

            /// Stores a value and returns the previous one.
            pub fn swap(&self, value: $value, _: Ordering) -> $value {
                step();
                self.0.swap(value, Ordering::SeqCst)
            }

            /// Stores a value if the current one is as expected.
            ///
            /// # Errors
            ///
            /// Returns the current value if it differs.
            pub fn compare_exchange(
                &self,
                expected: $value,
                value: $value,
                _: Ordering,
                _: Ordering,
            ) -> Result<$value, $value> {
                step();
                self.0.compare_exchange(expected, value, Ordering::SeqCst, Ordering::SeqCst)
            }

            /// The same; it has no spurious failures here.
            ///
            /// # Errors
            ///
            /// Returns the current value if it is not the expected one.
            pub fn compare_exchange_weak(
                &self,
                expected: $value,
                value: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(expected, value, success, failure)
            }

            /// Stores a value computed from the current one.
            ///
            /// # Errors
            ///
            /// Returns the current value if the closure returns `None`.
            pub fn fetch_update(
                &self,
                _: Ordering,
                _: Ordering,
                mut update: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                step();
                let mut now = self.0.load(Ordering::SeqCst);
                while let Some(next) = update(now) {
                    step();
                    match self.0.compare_exchange(now, next, Ordering::SeqCst, Ordering::SeqCst) {
                        Ok(before) => return Ok(before),
                        Err(changed) => now = changed,
                    }
                }
                Err(now)
            }

            /// The value through an exclusive borrow.
            pub fn get_mut(&mut self) -> &mut $value {
                self.0.get_mut()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! number {
    ($name:ident, $value:ty) => {
        any_atomic!($name, $value);

        impl $name {
            /// Adds, and returns the previous value.
            pub fn fetch_add(&self, more: $value, _: Ordering) -> $value {
                step();
                self.0.fetch_add(more, Ordering::SeqCst)
            }

            /// Subtracts, and returns the previous value.
            pub fn fetch_sub(&self, less: $value, _: Ordering) -> $value {
                step();
                self.0.fetch_sub(less, Ordering::SeqCst)
            }

            /// Sets bits, and returns the previous value.
            pub fn fetch_or(&self, bits: $value, _: Ordering) -> $value {
                step();
                self.0.fetch_or(bits, Ordering::SeqCst)
            }

            /// Keeps only these bits, and returns the previous value.
            pub fn fetch_and(&self, bits: $value, _: Ordering) -> $value {
                step();
                self.0.fetch_and(bits, Ordering::SeqCst)
            }

            /// Stores the maximum, and returns the previous value.
            pub fn fetch_max(&self, other: $value, _: Ordering) -> $value {
                step();
                self.0.fetch_max(other, Ordering::SeqCst)
            }
        }
    };
}

any_atomic!(AtomicBool, bool);
number!(AtomicU8, u8);
number!(AtomicU32, u32);
number!(AtomicU64, u64);
number!(AtomicUsize, usize);
