//! What the tasks of a scope leave for the next ones.
//!
//! A handle on the scope's token, since to make and to drop one takes the token's lock, for which all threads of
//! a scope would fight; and a record, since what one thread allocates and another frees makes them meet in the
//! allocator. Both change hands under the lock that the scope takes for each task anyway.
//!
//! Invariant, checked for every interleaving by `recycler/loom.rs`
//!
//! 1. A record is used again only where nobody else has it: who meant the task that had it does nothing to the next.

use std::{collections::VecDeque, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::context::tree::TaskRecord;

#[cfg(all(test, supervised_loom))]
mod loom;

#[derive(Default)]
pub(crate) struct Recycler {
    tokens: Vec<CancellationToken>,
    /// The oldest first: its task is the likeliest to have let go of it.
    records: VecDeque<Arc<TaskRecord>>,
}

/// For one task.
pub(crate) struct Recycled {
    pub(crate) token: Option<CancellationToken>,
    pub(crate) record: Option<Arc<TaskRecord>>,
}

impl Recycler {
    /// Of each kind: enough for what ends at once as a rule.
    const CAPACITY: usize = 32;

    pub(crate) fn take(&mut self) -> Recycled {
        Recycled { token: self.tokens.pop(), record: self.records.pop_front() }
    }

    /// Gives back what is too much, or another token's, to be dropped outside of the lock.
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
