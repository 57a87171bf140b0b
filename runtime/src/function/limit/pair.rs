//! Waiting for two limits at once: a slot of a scope and a permit of a function.
//!
//! Holding one forever while waiting for the other can deadlock: the run with the permit may spawn into the scope.
//! Returning one and queueing for the other again starves. So a pair has a place in both queues and takes both as soon
//! as both are free. If only one becomes free, the pair skips the turn and keeps its place. After [`MISSED_TURNS`] of
//! these it may hold the next one, for at most [`HOLD`] the first time. It then releases it, rests for as long, and
//! holds the other one, twice as long. Therefore
//!
//! - no hold of a wait that is polled lasts for ever, and all of them together last no longer than the rests: what the
//!   holds delay is delayed by a factor of two at most, even if it is what the pair waits for;
//! - if every run ends within `d`, the pair is admitted after at most `2 + log2(d / HOLD)` holds of each kind. Between
//!   two of them, the first of its kind in a queue is overtaken by the runs of `MISSED_TURNS` turns and one rest.
//!
//! With one length for all holds, runs longer than that could keep it waiting for ever, in turns.
//!
//! The queues' side of it, with its invariants, is in `limit.rs`.

use std::{
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

#[cfg(doc)]
use crate::function::limit::MISSED_TURNS;
use crate::{
    function::limit::{Has, Limit, ONE, Pair, PairState, Permit, Side, Slot, address, pairs},
    sync::{Mutex, atomic::Ordering},
};

/// How long it holds one of the two at most, the first time.
pub(crate) const HOLD: Duration = Duration::from_millis(10);

/// A wait for a slot and a permit. Its drop removes it from both queues and releases what it holds.
pub(crate) struct PairWait<'a> {
    slots: &'a Arc<Limit>,
    permits: &'static Limit,
    pair: Option<Arc<Pair>>,
}

/// The state of a wait for both.
pub(crate) enum PairStatus<'a> {
    Admitted(Slot<'a>, Permit),
    /// It holds one, and keeps others from it.
    Holds,
    Waits,
}

impl<'a> PairWait<'a> {
    pub(crate) fn new(slots: &'a Arc<Limit>, permits: &'static Limit) -> Self {
        Self { slots, permits, pair: None }
    }

    /// Starts to wait, or returns how the wait stands. The task is woken when that changes.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> PairStatus<'a> {
        let waker = cx.waker().clone();
        let Some(pair) = &self.pair else { return self.start(waker) };
        let mut state = pair.state();
        let has = state.has;
        let before = if has == Has::Both { Some(waker) } else { state.waker.replace(waker) };
        drop(state);
        drop(before);
        match has {
            Has::Both => {
                self.pair = None;
                self.admitted()
            }
            Has::One(_) => PairStatus::Holds,
            Has::Nothing => PairStatus::Waits,
        }
    }

    /// Takes both at once, or a place in both queues.
    fn start(&mut self, waker: Waker) -> PairStatus<'a> {
        let all = pairs();
        let (mut slots, mut permits) = (self.slots.queue(), self.permits.queue());
        self.slots.queued();
        self.permits.queued();
        let both = self.slots.try_take()
            && (self.permits.try_take() || {
                // No wait for a slot alone is queued while one is free (`limit.rs`, 3), and the queue is locked.
                self.slots.free.fetch_add(ONE, Ordering::Release);
                false
            });
        if both {
            self.slots.unless_queued(&slots);
            self.permits.unless_queued(&permits);
            drop((slots, permits, all));
            drop(waker);
            return self.admitted();
        }
        let pair = Arc::new(Pair {
            slots: self.slots.clone(),
            permits: self.permits,
            slots_place: slots.place(),
            permits_place: permits.place(),
            state: Mutex::new(PairState {
                has: Has::Nothing,
                misses: 0,
                may_hold: true,
                holds_next: Side::Slot,
                waker: Some(waker),
            }),
        });
        slots.insert_pair(address(self.permits), pair.slots_place, pair.clone());
        permits.insert_pair(address(self.slots), pair.permits_place, pair.clone());
        drop((slots, permits, all));
        self.pair = Some(pair);
        PairStatus::Waits
    }

    fn admitted(&self) -> PairStatus<'a> {
        PairStatus::Admitted(Permit(self.slots), Permit(self.permits))
    }

    /// Releases what it holds, and keeps its places. It may not hold again until [`may_hold`](Self::may_hold).
    pub(crate) fn release_held(&self) {
        let Some(pair) = &self.pair else { return };
        let all = pairs();
        let mut state = pair.state();
        let Has::One(side) = state.has else { return };
        state.has = Has::Nothing;
        state.misses = 0;
        state.may_hold = false;
        state.holds_next = side.other();
        drop(state);
        drop(all);
        pair.limit(side).release();
    }

    /// Lets it hold one again.
    pub(crate) fn may_hold(&self) {
        if let Some(pair) = &self.pair {
            pair.state().may_hold = true;
        }
    }
}

impl Drop for PairWait<'_> {
    fn drop(&mut self) {
        let Some(pair) = self.pair.take() else { return };
        let all = pairs();
        let (mut slots, mut permits) = (pair.slots.queue(), pair.permits.queue());
        pair.dequeue(Side::Slot, &mut slots);
        pair.dequeue(Side::Permit, &mut permits);
        drop((slots, permits));
        let has = std::mem::replace(&mut pair.state().has, Has::Both);
        drop(all);
        match has {
            Has::Nothing => {}
            Has::One(side) => pair.limit(side).release(),
            Has::Both => {
                pair.slots.release();
                pair.permits.release();
            }
        }
    }
}
