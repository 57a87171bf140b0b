//! tokio's cooperative budget.
//!
//! A loop over operations that are ready at once never returns to its worker: no timer fires, no grace ends, no other
//! task runs there. Therefore every public operation of the crate spends one unit per call, even one that is refused.
//! `tests/spec/composition/ready.rs` drives each of them in a loop.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use tokio::task::coop::poll_proceed;

/// Spends one unit of the task's budget. If none is left, returns `Pending` and wakes the task.
///
/// Call it before anything else is polled: a unit that is returned afterwards would also refund what the other polls
/// have spent.
#[inline]
pub(crate) fn spend(cx: &mut Context<'_>) -> Poll<()> {
    ready!(poll_proceed(cx)).made_progress();
    Poll::Ready(())
}

/// Like [`spend`], as an `async fn`.
pub(crate) async fn spent() {
    poll_fn(spend).await;
}
