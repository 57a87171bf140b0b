//! The token of a pool, and what takes its place.
//!
//! The closure of a spawn gets the token that the tasks share, and can fire it. That cancels the tasks that have it;
//! the pool then gives its next tasks a new token, a new scope and a new cancel waker, and logs it.
//!
//! Invariants
//!
//! 1. A task keeps the token, the scope and the cancel waker that it was spawned with: with another cancel waker it
//!    could miss the cancellation.
//! 2. Once the pool has stopped, nothing is replaced: what is made later is cancelled.
//! 3. At most `MOST_BEFORE` replaced tokens are kept: a pool whose token is fired again and again does not grow.
//! 4. A run that waits to be spawned is spawned with the present token, also if the one that it was made with was
//!    replaced several times.
//!
//! `pool_state/loom.rs` checks 2, `tests/composition/tokens.rs` the others.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    context::cancel_waker::CancelWaker, context::tree::ScopeNode, run::future::SupervisedFuture,
    sync::atomic::Ordering, telemetry::events,
};
use crate::{
    pool::state::{Inner, PoolState},
    tasks::recycler::Recycled,
};

/// What takes the place of the token of a pool that something else has fired.
pub(crate) struct Renewed {
    token: CancellationToken,
    scope: Arc<ScopeNode>,
    cancel_waker: CancelWaker,
    /// The tokens before this one, the latest last: a run may have been made with any of them.
    before: Vec<CancellationToken>,
}

/// How many replaced tokens are known. A spawn that waits while more are replaced is cancelled.
const MOST_BEFORE: usize = 32;

/// What a pool knows of its token, besides the first one.
#[derive(Default)]
pub(crate) struct Tokens {
    renewed: Option<Arc<Renewed>>,
    /// The pool has fired its token itself.
    stopped: bool,
    /// That something else has fired the present token was logged.
    logged: bool,
}

impl Tokens {
    pub(crate) fn renewed(&self) -> Option<Arc<Renewed>> {
        self.renewed.clone()
    }

    /// The pool is about to fire its token.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }
}

impl Renewed {
    pub(crate) fn scope(&self) -> &Arc<ScopeNode> {
        &self.scope
    }

    pub(crate) fn cancel_waker(&self) -> &CancelWaker {
        &self.cancel_waker
    }

    /// Gives its token to a run that was made with one before and has not started.
    pub(crate) fn renew(&self, run: &mut impl SupervisedFuture) {
        self.before.iter().for_each(|before| run.renew_token(before, &self.token));
    }

    /// The tokens before the one that replaces the present one.
    fn before_next(present: &CancellationToken, renewed: Option<&Self>) -> Vec<CancellationToken> {
        let known = renewed.map_or(&[][..], |renewed| &renewed.before);
        let known = &known[known.len().saturating_sub(MOST_BEFORE - 1)..];
        known.iter().chain([present]).cloned().collect()
    }
}

fn same(one: &Option<Arc<Renewed>>, other: &Option<Arc<Renewed>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

impl Inner {
    /// Keeps what an ended task has left; returns what is of no use, to be dropped outside of the lock.
    pub(crate) fn recycle(&mut self, recycled: Recycled, first: &CancellationToken) -> Recycled {
        let Some(renewed) = self.tokens.renewed() else {
            return self.recycler.put(recycled, first);
        };
        if recycled
            .record
            .as_ref()
            .is_some_and(|record| !Arc::ptr_eq(record.scope(), &renewed.scope))
        {
            return recycled;
        }
        self.recycler.put(recycled, &renewed.token)
    }
}

impl PoolState {
    /// The token, scope and cancel waker of the tasks that are spawned now.
    pub(crate) fn current<'a>(
        &'a self,
        renewed: &'a Option<Arc<Renewed>>,
    ) -> (&'a CancellationToken, &'a Arc<ScopeNode>, Option<&'a CancelWaker>) {
        match renewed {
            Some(renewed) => (&renewed.token, &renewed.scope, Some(&renewed.cancel_waker)),
            None => (&self.token, &self.scope, self.first_cancel_waker()),
        }
    }

    /// What has taken the place of the first token, if it was fired by something other than the pool.
    #[inline]
    pub(crate) fn renewed(&self) -> Option<Arc<Renewed>> {
        if self.is_renewed.load(Ordering::Acquire) { self.lock().tokens.renewed() } else { None }
    }

    /// Whether the present token may have been fired. Takes no lock.
    #[inline]
    pub(crate) fn may_be_cancelled(&self) -> bool {
        self.is_renewed.load(Ordering::Acquire)
            || self.first_cancel_waker().is_some_and(CancelWaker::fired)
    }

    /// Whether something other than the pool has fired the present token.
    fn is_cancelled_by_another(&self, state: &Inner) -> bool {
        let (_, _, cancel_waker) = self.current(&state.tokens.renewed);
        !state.tokens.stopped && cancel_waker.is_some_and(CancelWaker::fired)
    }

    /// Replaces the token if something other than the pool has fired it.
    #[cold]
    pub(crate) fn renew_if_cancelled(&self) {
        let state = self.lock();
        let (true, Some(weak)) = (self.is_cancelled_by_another(&state), self.weak()) else {
            return;
        };
        let present = state.tokens.renewed();
        drop(state);
        let before = Renewed::before_next(self.current(&present).0, present.as_deref());
        let token = CancellationToken::new();
        let scope = ScopeNode::renewed(token.clone(), &self.scope);
        let fresh =
            Renewed { cancel_waker: CancelWaker::new(&token, &scope, weak), scope, token, before };
        let fresh = Some(Arc::new(fresh));

        let mut state = self.lock();
        let is_present = same(&state.tokens.renewed, &present);
        if !is_present || !self.is_cancelled_by_another(&state) {
            return;
        }
        let replaced = std::mem::replace(&mut state.tokens.renewed, fresh);
        let recycler = std::mem::take(&mut state.recycler);
        let logged = std::mem::take(&mut state.tokens.logged);
        // Under the lock: who gets the new token finds the new scope.
        self.is_renewed.store(true, Ordering::Release);
        drop(state);
        drop((replaced, recycler));
        if !logged {
            events::pool_cancelled_by_another(self.place);
        }
    }

    /// Logs that something other than the pool has fired its token, once: no later spawn may do it.
    pub(crate) fn log_if_cancelled(&self) {
        if !self.may_be_cancelled() {
            return;
        }
        let mut state = self.lock();
        let logs = self.is_cancelled_by_another(&state) && !state.tokens.logged;
        state.tokens.logged |= logs;
        drop(state);
        if logs {
            events::pool_cancelled_by_another(self.place);
        }
    }
}
