//! `std`, as the runtime's source finds it here: before an atomic is touched, a lock is taken or a cell is looked
//! at, another task may go first.
//!
//! Each task of a schedule has a thread of its own, with thread-locals of its own.

pub use ::std::*;

pub mod atomic;
mod local_key;
mod once_lock;
pub mod step;

pub use local_key::LocalKey;

/// What is shared.
pub mod sync {
    pub use ::std::sync::*;

    pub use shuttle::sync::{Mutex, MutexGuard};

    pub use crate::once_lock::OnceLock;

    pub use crate::atomic;
}

/// Threads.
pub mod thread {
    pub use ::std::thread::*;

    pub use crate::LocalKey;

    /// What `map` takes a multiple of where nobody says a limit: the same on every machine.
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
