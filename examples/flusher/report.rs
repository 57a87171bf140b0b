//! The summary.

use std::fmt;

use tokio_supervised::{Outcome, stats};

use crate::store::Store;

pub(crate) struct Report {
    read: u64,
    written: u64,
    panicked: u64,
    failed: u64,
    restarts: u64,
}

impl Report {
    /// The lines, and the counters of the functions that flush them.
    pub(crate) fn of(store: &Store) -> Self {
        let (read, written) = store.buffer.counts();
        let mut report = Self { read, written, panicked: 0, failed: 0, restarts: 0 };
        let stats = stats();
        for flush in stats.iter().filter(|task| ["flush", "last flush"].contains(&task.name)) {
            report.panicked += flush.ended(Outcome::Panicked);
            report.failed += flush.ended(Outcome::Error);
            report.restarts += flush.restarts;
        }
        report
    }

    pub(crate) fn restarts(&self) -> u64 {
        self.restarts
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, written, panicked, failed, restarts } = self;
        write!(f, "{read} lines read, {written} on the disk; ")?;
        write!(f, "{panicked} flushes panicked, {failed} failed, {restarts} restarts")
    }
}
