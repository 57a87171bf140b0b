//! The tokens and records of ended tasks, which later tasks of the scope reuse.
//!
//! A clone of the scope's token is reused, since to make and to drop one takes the token's lock, for which all threads
//! of a scope would contend. A record is reused, since memory that one thread allocates and another frees makes them
//! contend in the allocator. Both are moved under the lock that the scope takes for each task anyway.
//!
//! Invariant, checked for every interleaving by `recycler/loom.rs`
//!
//! 1. A record is reused only if nothing else refers to it. Otherwise an abort that was meant for the ended task would
//!    hit the next one.

use std::{collections::VecDeque, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::context::tree::TaskRecord;

#[cfg(all(test, supervised_loom))]
mod loom;

#[derive(Default)]
pub(crate) struct Recycler {
    tokens: Vec<CancellationToken>,
    /// The oldest first: its task is the most likely to have released it.
    records: VecDeque<Arc<TaskRecord>>,
}

/// For one task.
pub(crate) struct Recycled {
    pub(crate) token: Option<CancellationToken>,
    pub(crate) record: Option<Arc<TaskRecord>>,
}

impl Recycler {
    /// Of each kind: enough for the tasks that usually end at the same time.
    const CAPACITY: usize = 32;

    pub(crate) fn take(&mut self) -> Recycled {
        Recycled { token: self.tokens.pop(), record: self.records.pop_front() }
    }

    /// Returns surplus ones, and clones of another token, to be dropped outside the lock.
    pub(crate) fn put(&mut self, recycled: Recycled, of: &CancellationToken) -> Recycled {
        let Recycled { mut token, mut record } = recycled;
        if self.tokens.len() < Self::CAPACITY && token.as_ref() == Some(of) {
            self.tokens.extend(token.take());
        }
        if self.records.len() < Self::CAPACITY {
            self.records.extend(record.take());
        }
        Recycled { token, record }
    }
}
