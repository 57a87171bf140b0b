//! The types of state that threads share: those of `std` and tokio, or, in the models, those of loom.
//!
//! A model is a test that loom runs once for each interleaving of its threads, and for each value that a weak ordering
//! allows them to read. `RUSTFLAGS="--cfg supervised_loom" cargo test --release -p tokio-supervised --lib loom` runs
//! them all. Each is in a module `loom` beside the code that it checks.
//!
//! A unit test that needs a runtime, or a `static` of these types, is for `all(test, not(supervised_loom))`: the
//! models are built without the other dev-dependencies.
//!
//! The `cfg` is a private one. Under `--cfg loom` tokio has no signals and no net, and the crate would not compile. Nor
//! does a program that is tested under it get our models' types into its build.
//!
//! Types that loom does not have are replaced: [`OnceLock`] and [`Once`], tokio's `Notify`, tokio-util's
//! `CancellationToken`. `Arc` and `Weak` stay `std`'s: a model about a reference count uses an extra atomic for it.
//! Tasks of tokio, clocks and thread-locals beyond those made here are not modelled.

pub(crate) mod atomic64;
#[cfg(all(test, supervised_loom))]
mod notify;
#[cfg(all(test, supervised_loom))]
mod once;
#[cfg(all(test, supervised_loom))]
#[allow(missing_docs, unreachable_pub, reason = "tokio-util has the documentation")]
mod token;

#[cfg(not(all(test, supervised_loom)))]
mod types {
    pub(crate) use std::{
        sync::{Mutex, MutexGuard, Once, OnceLock, atomic},
        thread_local,
    };

    pub(crate) use tokio::sync::Notify;

    pub(crate) use super::atomic64::AtomicU64;

    /// A function that is `const`, but in the models: loom makes nothing before a model runs.
    macro_rules! const_fn {
        ($($function:tt)*) => { $($function)* };
    }

    /// A `static` that is initialised again for each run of a model.
    macro_rules! global {
        ($($global:tt)*) => { $($global)* };
    }

    /// Creates an array from an expression.
    macro_rules! each {
        ($one:expr; $count:expr) => {
            [const { $one }; $count]
        };
    }

    pub(crate) use {const_fn, each, global};
}

#[cfg(all(test, supervised_loom))]
mod types {
    pub(crate) use loom::sync::{
        Mutex, MutexGuard,
        atomic::{self, AtomicU64},
    };

    pub(crate) use super::{
        notify::Notify,
        once::{Once, OnceLock},
    };

    macro_rules! const_fn {
        ($(#[$attribute:meta])* $visible:vis const fn $($function:tt)*) => {
            $(#[$attribute])* $visible fn $($function)*
        };
    }

    macro_rules! global {
        ($(#[$attribute:meta])* $visible:vis static $name:ident: $type:ty = $made:expr;) => {
            #[allow(non_camel_case_types)]
            $visible struct $name {}
            $(#[$attribute])*
            $visible static $name: $name = $name {};

            impl std::ops::Deref for $name {
                type Target = $type;

                fn deref(&self) -> &$type {
                    static MADE: ::loom::lazy_static::Lazy<$type> = ::loom::lazy_static::Lazy {
                        init: || $made,
                        _p: std::marker::PhantomData,
                    };
                    MADE.get()
                }
            }
        };
    }

    macro_rules! each {
        ($one:expr; $count:expr) => {
            std::array::from_fn::<_, { $count }, _>(|_| $one)
        };
    }

    macro_rules! local {
        ($($visible:vis static $name:ident: $type:ty = const { $made:expr };)*) => {
            ::loom::thread_local! { $($visible static $name: $type = $made;)* }
        };
    }

    pub(crate) use {const_fn, each, global, local as thread_local};
}

#[cfg(all(test, supervised_loom))]
#[allow(unreachable_pub, reason = "the crate exports it, as it does tokio-util's")]
pub use token::{CancellationToken, WaitForCancellationFutureOwned};
pub(crate) use types::*;

/// Starts a thread of a model with a clone of the state that the threads share.
#[cfg(all(test, supervised_loom))]
pub(crate) fn spawn<T: Clone + 'static, R: 'static>(
    shared: &T,
    body: impl FnOnce(T) -> R + 'static,
) -> loom::thread::JoinHandle<R> {
    let shared = shared.clone();
    loom::thread::spawn(move || body(shared))
}

/// Starts two threads that do the same.
#[cfg(all(test, supervised_loom))]
pub(crate) fn spawn_two<T: Clone + 'static, R: 'static>(
    shared: &T,
    body: impl FnOnce(T) -> R + Clone + 'static,
) -> [loom::thread::JoinHandle<R>; 2] {
    [(); 2].map(|()| spawn(shared, body.clone()))
}

/// Waits for a thread of a model, and returns its result.
#[cfg(all(test, supervised_loom))]
pub(crate) fn join<T>(thread: loom::thread::JoinHandle<T>) -> T {
    thread.join().expect("loom ends the test where a thread panics")
}

/// Runs a model, and prints how many interleavings it tried and how long it took. With a bound, loom preempts a thread
/// that could continue at most that many times. `LOOM_MAX_PREEMPTIONS` raises the bounds of bounded models.
#[cfg(all(test, supervised_loom))]
#[allow(clippy::print_stdout)]
pub(crate) fn model(bound: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    use std::sync::{Arc, atomic};

    let runs = Arc::new(atomic::AtomicU64::new(0));
    let counted = runs.clone();
    let mut builder = loom::model::Builder::new();
    let asked = builder.preemption_bound;
    builder.preemption_bound = bound.map(|bound| asked.map_or(bound, |asked| asked.max(bound)));
    builder.max_branches = 20_000;
    let started = std::time::Instant::now();
    builder.check(move || {
        counted.fetch_add(1, atomic::Ordering::Relaxed);
        model();
    });
    let name = std::thread::current().name().map(str::to_owned).unwrap_or_default();
    let (runs, took) = (runs.load(atomic::Ordering::Relaxed), started.elapsed());
    let bound = builder.preemption_bound.map_or("none".to_owned(), |bound| bound.to_string());
    println!("{name}: {runs} interleavings, preemption bound {bound}, {took:.1?}");
}
