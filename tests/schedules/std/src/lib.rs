//! `std` for the runtime under test: before each access to an atomic, a lock or a cell, another task may run.
//!
//! Each task of a schedule has its own thread and its own thread-locals.

pub use ::std::*;

pub mod atomic;
mod local_key;
mod once_lock;
pub mod step;

pub use local_key::LocalKey;

/// Shared data.
pub mod sync {
    pub use ::std::sync::*;

    pub use shuttle::sync::{Condvar, Mutex, MutexGuard};

    pub use crate::once_lock::OnceLock;

    pub use crate::atomic;
}

/// Threads.
pub mod thread {
    pub use ::std::thread::*;

    use ::std::io;

    pub use crate::LocalKey;

    /// No thread of the operating system takes part in a schedule: code that needs one must work without it.
    #[derive(Debug, Default)]
    pub struct Builder(());

    impl Builder {
        /// A builder whose spawn always fails.
        pub fn new() -> Self {
            Self(())
        }

        /// The name of none.
        pub fn name(self, _: String) -> Self {
            self
        }

        /// No thread.
        ///
        /// # Errors
        ///
        /// Always.
        pub fn spawn<F, T>(self, _: F) -> io::Result<JoinHandle<T>>
        where
            F: FnOnce() -> T + Send + 'static,
            T: Send + 'static,
        {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// No thread.
        ///
        /// # Errors
        ///
        /// Always.
        pub fn spawn_scoped<'scope, 'env, F, T>(
            self,
            _: &'scope Scope<'scope, 'env>,
            _: F,
        ) -> io::Result<ScopedJoinHandle<'scope, T>>
        where
            F: FnOnce() -> T + Send + 'scope,
            T: Send + 'scope,
        {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// The factor of `map`'s default limit: the same on every machine.
    pub fn available_parallelism() -> ::std::io::Result<::std::num::NonZeroUsize> {
        Ok(::std::num::NonZeroUsize::MIN)
    }
}

/// Thread-locals of the tasks of a schedule.
#[macro_export]
macro_rules! thread_local {
    () => {};
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = const $init:block $(; $($rest:tt)*)?) => {
        $(#[$attr])* $vis static $name: $crate::LocalKey<$t> = $crate::LocalKey::new(|| $init);
        $($crate::thread_local!($($rest)*);)?
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $init:expr $(; $($rest:tt)*)?) => {
        $(#[$attr])* $vis static $name: $crate::LocalKey<$t> = $crate::LocalKey::new(|| $init);
        $($crate::thread_local!($($rest)*);)?
    };
}
