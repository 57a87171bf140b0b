//! Statistics that many tasks count together, and two ways to share them.
//!
//! | | [`Locked`] | [`Atomics`] |
//! |---|---|---|
//! | `record` | waits for the lock | never waits; five atomic operations |
//! | totals, when all recorders have been joined | exact | exact |
//! | a summary while others record | whole: it holds all of a line or nothing of it | may be torn: each number is exact for itself, but a line that is being recorded may be in some and not yet in others |
//! | two summaries, one after the other, by one thread | no number of the second is behind the first | the same |
//!
//! Values that depend on several numbers (a mean, a rate, "is the sum of the bars the number of lines?") may be read
//! from [`Locked`] at any time, from [`Atomics`] only after all recorders have ended.

mod atomics;
mod locked;
mod summary;
#[cfg(test)]
mod tests;

pub(crate) use atomics::Atomics;
pub(crate) use locked::Locked;
pub(crate) use summary::{BUCKETS, Summary, bucket};

/// Shared by all tasks through one `Arc`: every method takes `&self`, from any thread.
pub(crate) trait Statistics: Send + Sync {
    /// Counts one line of `words` words.
    fn record(&self, words: u64);

    /// The current numbers.
    fn summary(&self) -> Summary;
}

/// Two threads may share either: a `Cell` in one of them would fail the build here.
const _: () = {
    const fn shared_between_threads<T: Send + Sync + ?Sized>() {}
    shared_between_threads::<Locked>();
    shared_between_threads::<Atomics>();
    shared_between_threads::<dyn Statistics>();
};
