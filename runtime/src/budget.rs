//! tokio's cooperative budget.
//!
//! A loop over operations that are ready at once never returns to its worker: no timer fires, no grace ends, no other
//! task runs there. Therefore every public operation of the crate spends one unit per call, even one that is refused. A
//! run spends by its duration, and at most one unit: most take less time than the unit itself.
//! `tests/spec/composition/ready.rs` drives each of them in a loop.

use std::{
    cell::Cell,
    future::poll_fn,
    task::{Context, Poll, ready},
};

use tokio::task::coop::poll_proceed;

/// The nanoseconds of runs that are worth a unit. A task that does nothing else yields after 128 of them.
const UNIT: u64 = 1_000;

/// The nanoseconds that a run takes besides its body.
const OVERHEAD: u64 = 40;

std::thread_local! {
    /// The nanoseconds of ended runs that no unit was spent for, in whichever task of this thread they were.
    static OWED: Cell<u64> = const { Cell::new(0) };
}

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

/// Like [`spend`], for a run that starts: if earlier ones have taken the time of a unit.
#[inline]
pub(crate) fn spend_owed(cx: &mut Context<'_>) -> Poll<()> {
    if OWED.get() < UNIT { Poll::Ready(()) } else { spend_unit(cx) }
}

#[inline(never)]
fn spend_unit(cx: &mut Context<'_>) -> Poll<()> {
    OWED.set(OWED.get() - UNIT);
    spend(cx)
}

/// A run has ended that took so long, at most a unit: it may have been pending.
#[inline]
pub(crate) fn owe(nanos: u64) {
    OWED.set(OWED.get() + (nanos + OVERHEAD).min(UNIT));
}

/// A run has ended whose body never started.
pub(crate) fn owe_unit() {
    OWED.set(OWED.get() + UNIT);
}
