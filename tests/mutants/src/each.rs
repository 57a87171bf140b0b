//! Runs several items at a time.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

/// Tests wait for one another, for processes and for clocks: two at a time per processor.
fn at_a_time() -> usize {
    2 * thread::available_parallelism().map_or(1, usize::from)
}

/// Applies a function to each item, in unspecified order, and returns the results.
pub(crate) fn each<I: Send, O: Send>(items: Vec<I>, with: impl Fn(I) -> O + Sync) -> Vec<O> {
    let items = Mutex::new(items.into_iter());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_a_time() {
            scope.spawn(|| {
                loop {
                    let next = items.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(item) = next else { return };
                    let came = with(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(came);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}
