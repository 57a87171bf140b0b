//! The token of a pool, and its replacements.
//!
//! The closure of a spawn gets the token that the tasks share, and can fire it. That cancels the tasks that have it;
//! the pool then gives its next tasks a new token, a new scope and a new cancel waker, and logs it.
//!
//! If the pool has a token of `stop_with`, its tokens and `closing` are children of that. So the call that fires that token
//! marks them all before it wakes anyone, and no task watches it for the pool.
//!
//! Invariants
//!
//! 1. A task keeps the token, the scope and the cancel waker that it was spawned with: with another cancel waker it
//!    could miss the cancellation.
//! 2. Once the pool has stopped, or the token of `stop_with` has fired, its token is not replaced: later tasks are
//!    cancelled. (`tests/schedules/tests/stop.rs`)
//! 3. At most `MOST_BEFORE` replaced tokens are kept: a pool whose token is fired again and again does not grow.
//! 4. A run that waits to be spawned is spawned with the current token, even if the token that it was created with was
//!    replaced several times.
//!
//! `pool/state/loom.rs` checks 2, `tests/spec/composition/tokens.rs` the others.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    context::cancel_waker::CancelWaker, context::tree::ScopeNode, run::future::SupervisedFuture,
};

/// The replacement of a pool's token that something other than the pool has fired.
pub(crate) struct Renewed {
    pub(crate) token: CancellationToken,
    pub(crate) scope: Arc<ScopeNode>,
    pub(crate) cancel_waker: CancelWaker,
    /// The tokens before this one, the latest last: a run may have been made with any of them.
    pub(crate) before: Vec<CancellationToken>,
}

/// How many replaced tokens are kept. A spawn that waits while more are replaced is cancelled.
const MOST_BEFORE: usize = 32;

/// The state of a pool's token, besides the first token itself.
#[derive(Default)]
pub(crate) struct Tokens {
    pub(crate) renewed: Option<Arc<Renewed>>,
    /// The pool has fired its token itself.
    pub(crate) stopped: bool,
    /// An event has reported that something else fired the present token.
    pub(crate) logged: bool,
}

impl Renewed {
    /// Replaces the token of a run that was created with an earlier one and has not started.
    pub(crate) fn renew(&self, run: &mut impl SupervisedFuture) {
        self.before.iter().for_each(|before| run.renew_token(before, &self.token));
    }

    /// The tokens before the replacement of the current one.
    pub(crate) fn before_next(
        present: &CancellationToken,
        renewed: Option<&Self>,
    ) -> Vec<CancellationToken> {
        let known = renewed.map_or(&[][..], |renewed| &renewed.before);
        let known = &known[known.len().saturating_sub(MOST_BEFORE - 1)..];
        known.iter().chain([present]).cloned().collect()
    }
}

/// Whether both are the first token, or the same replacement.
pub(crate) fn same(one: &Option<Arc<Renewed>>, other: &Option<Arc<Renewed>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}
