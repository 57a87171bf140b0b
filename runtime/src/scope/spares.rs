//! What the tasks of a scope leave for the next ones.
//!
//! A handle on the scope's token, since to make and to drop one takes the token's lock, for which all threads of
//! a scope would fight; and a row, since what one thread allocates and another frees makes them meet in the
//! allocator. Both change hands under the lock that the scope takes for each task anyway.
//!
//! Invariant, checked for every interleaving by `spares/loom.rs`
//!
//! 1. A row is used again only where nobody else has it: who meant the task that had it does nothing to the next.

use std::{collections::VecDeque, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::run::row::Row;

#[cfg(all(test, supervised_loom))]
mod loom;

#[derive(Default)]
pub(super) struct Spares {
    tokens: Vec<CancellationToken>,
    /// The oldest first: its task is the likeliest to have let go of it.
    rows: VecDeque<Arc<Row>>,
}

/// For one task.
pub(super) struct Spare {
    pub(super) token: Option<CancellationToken>,
    pub(super) row: Option<Arc<Row>>,
}

impl Spares {
    /// Of each kind: enough for what ends at once as a rule.
    const MOST: usize = 32;

    pub(super) fn take(&mut self) -> Spare {
        Spare { token: self.tokens.pop(), row: self.rows.pop_front() }
    }

    /// Gives back what is too much, or another token's, to be dropped outside of the lock.
    pub(super) fn keep(&mut self, spare: Spare, of: &CancellationToken) -> Spare {
        let Spare { mut token, mut row } = spare;
        if self.tokens.len() < Self::MOST && token.as_ref() == Some(of) {
            self.tokens.extend(token.take());
        }
        if self.rows.len() < Self::MOST {
            self.rows.extend(row.take());
        }
        Spare { token, row }
    }
}
