//! Waiting for two limits at once: a slot of a scope and a permit of a function.
//!
//! To hold one for ever while waiting for the other can deadlock: the run with the permit may spawn into the scope.
//! To return one and queue for the other again starves. So a pair has a place in both queues and takes both as soon
//! as both are free. If one becomes free and the other is not, the pair lets its turn pass and keeps its place. After
//! [`MISSED_TURNS`] of these it may hold the next one, for at most [`HOLD`] the first time; it then releases it,
//! rests for as long, and holds the other one, twice as long. Therefore
//!
//! - no hold of a wait that is polled lasts for ever, and all of them together no longer than the rests: what the holds delay is delayed
//!   by a factor of two at most, also where it is what the pair waits for;
//! - if every run ends within `d`, the pair is admitted after at most `2 + log2(d / HOLD)` holds of each kind. Between
//!   two of them, the first of its kind in a queue is overtaken by what runs in `MISSED_TURNS` turns and one rest.
//!
//! With one length for all holds, runs longer than that could keep it waiting for ever, in turns.
//!
//! Invariants, checked for every interleaving by `function/limit/loom.rs`
//!
//! 1. While a pair waits, one of its limits has no free permit.
//! 2. A pair is in both queues or in none, and `PAIRS` is locked by who changes that or what it has.
//! 3. Only who holds `PAIRS` locks two queues.
//!
//! Pairs of the same two limits are one class, of which the first alone is asked: a queue of many equal spawns
//! costs a permit that comes back no more than one. The classes are asked in the order of their first places, until
//! one takes it: those behind cost nothing. Each that lacks its other limit costs a look.

use std::{
    sync::{Arc, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use crate::function::limit::{Limit, ONE, Permit, Queue, Slot, Taken, wake};
use crate::{
    sync,
    sync::{Mutex, MutexGuard, atomic::Ordering},
};

/// How many turns a spawn that waits for a slot and a permit lets pass before it holds one of the two.
pub(crate) const MISSED_TURNS: u32 = if cfg!(supervised_loom) { 1 } else { 8 };

/// For how long it holds one of the two at most, the first time.
pub(crate) const HOLD: Duration = Duration::from_millis(10);

sync::global! {
    /// Taken before the locks of queues, and by pairs only.
    static PAIRS: Mutex<()> = Mutex::new(());
}

/// A wait for both; in the queues.
pub(crate) struct Pair {
    slots: Arc<Limit>,
    permits: &'static Limit,
    slots_place: u64,
    permits_place: u64,
    state: Mutex<State>,
}

struct State {
    has: Has,
    misses: u32,
    /// Not while it rests.
    may_hold: bool,
    holds_next: Side,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Slot,
    Permit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Has {
    Nothing,
    One(Side),
    Both,
}

impl Pair {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limit(&self, side: Side) -> &Limit {
        match side {
            Side::Slot => &self.slots,
            Side::Permit => self.permits,
        }
    }

    fn place(&self, side: Side) -> u64 {
        match side {
            Side::Slot => self.slots_place,
            Side::Permit => self.permits_place,
        }
    }

    /// Takes it out of one of its queues.
    fn dequeue(&self, side: Side, queue: &mut Queue) {
        queue.remove_pair(address(self.limit(side.other())), self.place(side));
        self.limit(side).unless_queued(queue);
    }
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Slot => Self::Permit,
            Self::Permit => Self::Slot,
        }
    }
}

impl Queue {
    fn insert_pair(&mut self, class: usize, place: u64, pair: Arc<Pair>) {
        let pairs = self.pairs.entry(class).or_default();
        if pairs.is_empty() {
            self.heads.insert(place, class);
        }
        pairs.insert(place, pair);
    }

    fn remove_pair(&mut self, class: usize, place: u64) {
        let Some(pairs) = self.pairs.get_mut(&class) else { return };
        pairs.remove(&place);
        let head = pairs.first_key_value().map(|(head, _)| *head);
        if head.is_none() {
            self.pairs.remove(&class);
        }
        if self.heads.remove(&place).is_some() {
            self.heads.extend(head.map(|head| (head, class)));
        }
    }

    /// The first pair of a class that is the first one from this place on.
    fn next_head(&self, from: u64) -> Option<(u64, Arc<Pair>)> {
        let (place, class) = self.heads.range(from..).next()?;
        let pair = self.pairs.get(class)?.get(place)?;
        Some((*place, pair.clone()))
    }
}

fn address(limit: &Limit) -> usize {
    std::ptr::from_ref(limit).addr()
}

fn pairs() -> MutexGuard<'static, ()> {
    PAIRS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes permits that have come back to whoever is first in the queue and can use them; see [`Limit::grant_next`].
#[cold]
pub(crate) fn grant_next(limit: &Limit, permits: usize) {
    let all = pairs();
    let mut queue = limit.queue();
    let wakers = limit.grant_all(&mut queue, permits, offer);
    drop(queue);
    drop(all);
    wakers.into_iter().for_each(wake);
}

/// Offers a permit to the first of each class, in the order of their places.
fn offer(limit: &Limit, queue: &mut Queue) -> Taken {
    if queue.debt > 0 || queue.pairs.is_empty() {
        return limit.grant_alone(queue);
    }
    let first_alone = queue.alone.first_key_value().map(|(place, _)| *place);
    let mut from = 0;
    while let Some((place, pair)) = queue.next_head(from) {
        if first_alone.is_some_and(|alone| alone < place) {
            break;
        }
        if let Some(waker) = pair.offered(limit, queue) {
            return Taken::By(waker);
        }
        from = place + 1;
    }
    if first_alone.is_some() {
        return limit.grant_alone(queue);
    }
    limit.free.fetch_add(ONE, Ordering::Release);
    Taken::ByNobody
}

impl Pair {
    /// Offers it a permit of one of its limits, whose queue is locked. If it takes it: its waker, for the time
    /// after the locks.
    fn offered(&self, limit: &Limit, queue: &mut Queue) -> Option<Option<Waker>> {
        let side = if std::ptr::eq(limit, self.permits) { Side::Permit } else { Side::Slot };
        let other = self.limit(side.other());
        let mut state = self.state();
        match state.has {
            Has::Both => None,
            Has::One(held) if held == side => None,
            Has::One(_) => {
                state.has = Has::Both;
                self.dequeue(side, queue);
                self.dequeue(side.other(), &mut other.queue());
                Some(state.waker.take())
            }
            Has::Nothing if other.try_take() => {
                state.has = Has::Both;
                self.dequeue(side, queue);
                self.dequeue(side.other(), &mut other.queue());
                Some(state.waker.take())
            }
            Has::Nothing => {
                state.misses = state.misses.saturating_add(1);
                let holds =
                    state.misses >= MISSED_TURNS && state.may_hold && state.holds_next == side;
                if !holds {
                    return None;
                }
                state.has = Has::One(side);
                Some(state.waker.take())
            }
        }
    }
}

/// A wait for a slot and a permit. Dropped, it leaves both queues and returns what it has.
pub(crate) struct PairWait {
    slots: Arc<Limit>,
    permits: &'static Limit,
    pair: Option<Arc<Pair>>,
}

/// How a wait for both stands.
pub(crate) enum PairStatus {
    Admitted(Slot, Permit),
    /// It holds one, and keeps others from it.
    Holds,
    Waits,
}

impl PairWait {
    pub(crate) fn new(slots: Arc<Limit>, permits: &'static Limit) -> Self {
        Self { slots, permits, pair: None }
    }

    /// Begins to wait, or asks how the wait stands. The task is woken when that changes.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> PairStatus {
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
    fn start(&mut self, waker: Waker) -> PairStatus {
        let all = pairs();
        let (mut slots, mut permits) = (self.slots.queue(), self.permits.queue());
        self.slots.queued();
        self.permits.queued();
        let both = self.slots.try_take()
            && (self.permits.try_take() || {
                // Nobody else waits for a slot that is free, and the queue is locked.
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
            state: Mutex::new(State {
                has: Has::Nothing,
                misses: 0,
                may_hold: true,
                holds_next: Side::Slot,
                waker: Some(waker),
            }),
        });
        slots.insert_pair(address(self.permits), pair.slots_place, pair.clone());
        permits.insert_pair(address(&self.slots), pair.permits_place, pair.clone());
        drop((slots, permits, all));
        self.pair = Some(pair);
        PairStatus::Waits
    }

    fn admitted(&self) -> PairStatus {
        PairStatus::Admitted(Permit(self.slots.clone()), Permit(self.permits))
    }

    /// Releases what it holds, and keeps its places. From now on it rests.
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

    /// The rest is over.
    pub(crate) fn may_hold(&self) {
        if let Some(pair) = &self.pair {
            pair.state().may_hold = true;
        }
    }
}

impl Drop for PairWait {
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
