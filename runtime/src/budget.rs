//! tokio's cooperative budget.
//!
//! A loop over operations that are ready at once never returns to its worker: no timer fires, no grace ends, no other
//! task runs there. Therefore every public operation of the crate spends one unit per call, even one that is refused. A
//! run owes a part of a unit, by its duration: most take less time than the unit itself.
//! `tests/spec/composition/ready.rs` drives each of them in a loop.

use std::{
    cell::Cell,
    future::poll_fn,
    task::{Context, Poll, ready},
};

use tokio::task::coop::poll_proceed;

/// The parts of a unit.
const PARTS: u32 = 8;

/// A run owes one part more for each of these steps that it took: 2^11 nanoseconds, about two microseconds. Smaller steps
/// would differ from one count of instructions under valgrind to the next.
const STEP_BITS: u32 = 11;

std::thread_local! {
    /// The parts that the ended runs owe, in whichever task of this thread they were.
    static OWED: Cell<u32> = const { Cell::new(0) };
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

/// Like [`spend`], for a run that starts: if earlier ones owe a unit.
#[inline]
pub(crate) fn spend_owed(cx: &mut Context<'_>) -> Poll<()> {
    if OWED.get() < PARTS { Poll::Ready(()) } else { spend_unit(cx) }
}

#[inline(never)]
fn spend_unit(cx: &mut Context<'_>) -> Poll<()> {
    OWED.set(OWED.get() - PARTS);
    spend(cx)
}

/// A run has ended that took so long. It owes at most a unit: it may have been pending.
#[inline]
pub(crate) fn owe(nanos: u64) {
    let steps = (nanos >> STEP_BITS).min(u64::from(PARTS) - 1);
    add(1 + steps as u32);
}

/// A run has ended whose body never started.
pub(crate) fn owe_unit() {
    add(PARTS);
}

/// At most two units are owed: the ends of runs that started on other threads, or never did, need not be paid by those
/// that start here. A loop spends a unit at each start that finds one.
#[inline]
fn add(parts: u32) {
    OWED.set((OWED.get() + parts).min(2 * PARTS));
}
