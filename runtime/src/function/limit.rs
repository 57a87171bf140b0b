//! The limit on concurrent runs of one function, or tasks of one scope. It can be changed at any time.
//!
//! A limit implements its own queue. A semaphore would suffice for most waits, but a wait for a slot and a permit must
//! be able to skip a turn and keep its place (`pair.rs`).
//!
//! A wait that was granted a permit and is not polled keeps it until it is dropped, as with tokio's semaphore: it is
//! indistinguishable from one that is about to be polled. A pair (`pair.rs`) does not release one of its two without a
//! poll either: the same pair, granted both, would keep them anyway.
//!
//! Invariants, checked by `tests/spec/behaviour/set_limit.rs`, and for every interleaving by `function/limit/loom.rs`
//!
//! 1. Permits that are out, and free ones, are `size + debt` together: none is lost or made twice.
//! 2. While there is debt, no permit is free: a released permit pays it. At most `size` are acquired from then on.
//! 3. While a wait for this limit alone is queued, no permit is free: nothing overtakes it, and waits are served in
//!    the order in which they started.
//! 4. While a wait is queued or there is debt, `QUEUED` is set, and permits are released under the lock. Otherwise a
//!    permit would be free beside a wait for it.
//! 5. No waker is called, cloned or dropped under a lock: it may change this very limit.
//!    (`tests/spec/composition/fairness.rs`)
//! 6. Only the holder of `PAIRS` locks two queues. Otherwise two waits for the same two limits could deadlock.
//! 7. While a pair (a wait for a slot and a permit, `pair.rs`) waits, one of its limits has no free permit.
//! 8. A pair is in both queues or in none, and code that changes this, or what the pair holds, has locked `PAIRS`.
//!
//! Pairs of the same two limits are one class, of which only the first is offered a permit: a queue of many equal spawns
//! costs a released permit no more than one spawn does. The classes are asked in the order of their first places, until
//! one takes the permit: those behind cost nothing.

pub(crate) mod pair;

use std::{
    borrow::Borrow,
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{
    panic::quietly,
    sync,
    sync::{Mutex, MutexGuard, atomic::AtomicUsize, atomic::Ordering},
};

#[cfg(all(test, supervised_loom))]
mod loom;

/// The permits of a function, or the slots of a scope; first come, first served.
pub(crate) struct Limit {
    /// Free permits, in steps of `ONE`, and the bit `QUEUED`.
    free: AtomicUsize,
    size: AtomicUsize,
    queue: Mutex<Queue>,
}

/// The right to run; returned when it is dropped.
pub(crate) struct Permit<L: Borrow<Limit> = &'static Limit>(L);

/// A permit of a scope. Its task keeps it: see [`Permit::keep`].
pub(crate) type Slot<'a> = Permit<&'a Limit>;

/// Set while permits must be released under the lock.
const QUEUED: usize = 1;
const ONE: usize = 2;

/// How many turns a spawn that waits for a slot and a permit skips before it holds one of the two.
const MISSED_TURNS: u32 = if cfg!(supervised_loom) { 1 } else { 8 };

/// Sums of permits do not overflow.
const LARGEST: usize = usize::MAX >> 3;

struct Queue {
    /// How many permits exceed a reduced size.
    debt: usize,
    /// The next place; places are not used twice.
    next: u64,
    alone: BTreeMap<u64, Arc<Waiter>>,
    /// Waits that need a second limit too: by its address, then by place.
    pairs: BTreeMap<usize, BTreeMap<u64, Arc<Pair>>>,
    /// The first place of each of these classes, and its class.
    heads: BTreeMap<u64, usize>,
}

impl Queue {
    const fn new() -> Self {
        Self {
            debt: 0,
            next: 0,
            alone: BTreeMap::new(),
            pairs: BTreeMap::new(),
            heads: BTreeMap::new(),
        }
    }

    fn place(&mut self) -> u64 {
        let place = self.next;
        self.next += 1;
        place
    }

    fn has_waiters(&self) -> bool {
        !(self.alone.is_empty() && self.pairs.is_empty())
    }
}

impl Limit {
    sync::const_fn! {
        /// # Panics
        ///
        /// If `size` is 0. In a `static` the compiler reports it.
        #[track_caller]
        pub(crate) const fn new(size: usize) -> Self {
            assert!(size > 0, "`limit` must not be 0: no task could run");
            let size = at_most(size);
            Self {
                free: AtomicUsize::new(size * ONE),
                size: AtomicUsize::new(size),
                queue: Mutex::new(Queue::new()),
            }
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    /// Whether no permit is free now.
    pub(crate) fn is_full(&self) -> bool {
        self.free.load(Ordering::Relaxed) < ONE
    }

    /// The number of waits for a permit. A pair that waits for its other limit alone is none of them.
    #[cfg(any(
        feature = "axum",
        feature = "metrics",
        feature = "opentelemetry",
        feature = "prometheus"
    ))]
    pub(crate) fn waiting(&self) -> usize {
        let queue = self.queue();
        if !self.is_full() {
            return 0;
        }
        let pairs = queue.pairs.values().flat_map(BTreeMap::values);
        queue.alone.len() + pairs.filter(|pair| !pair.holds(self)).count()
    }

    /// A permit that is free now, unless others wait for it.
    #[inline]
    pub(crate) fn try_acquire<L: Borrow<Self>>(this: L) -> Option<Permit<L>> {
        // Not made before: its drop releases a permit.
        this.borrow().try_take().then(|| Permit(this))
    }

    /// Returns a permit that was kept.
    #[inline]
    pub(crate) fn kept(&self) -> Permit<&Self> {
        Permit(self)
    }

    /// Waits for a permit.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while it waits, it loses its place in the queue and acquires nothing.
    pub(crate) async fn acquire<L: Borrow<Self>>(this: L) -> Permit<L> {
        let limit: &Self = this.borrow();
        Wait { limit, waits: None }.await;
        Permit(this)
    }

    /// Changes the size. Runs beyond a smaller size continue, and are not replaced when they end.
    pub(crate) fn resize(&self, size: usize) {
        let size = at_most(size);
        let mut queue = self.queue();
        // Under the lock, which serialises changes of the size.
        let before = self.size.swap(size, Ordering::Relaxed);
        if size < before {
            self.queued();
            let surplus = before - size;
            queue.debt += surplus - self.take_up_to(surplus);
            self.unless_queued(&queue);
        } else {
            drop(queue);
            self.release_many(size - before);
        }
    }

    #[inline]
    fn try_take(&self) -> bool {
        let mut free = self.free.load(Ordering::Relaxed);
        while free >= ONE {
            let (one_less, acquires) = (free - ONE, Ordering::Acquire);
            match self.free.compare_exchange_weak(free, one_less, acquires, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => free = now,
            }
        }
        false
    }

    fn take_up_to(&self, most: usize) -> usize {
        let taken = |free: usize| most.min(free / ONE);
        let less = |free: usize| Some(free - taken(free) * ONE);
        let before = self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        before.map_or(0, taken)
    }

    #[inline]
    fn release(&self) {
        let mut free = self.free.load(Ordering::Relaxed);
        while free & QUEUED == 0 {
            let (one_more, releases) = (free + ONE, Ordering::Release);
            match self.free.compare_exchange_weak(free, one_more, releases, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => free = now,
            }
        }
        self.grant_next();
    }

    fn release_many(&self, permits: usize) {
        let mut queue = self.queue();
        if !queue.pairs.is_empty() {
            drop(queue);
            return grant_next_of_pairs(self, permits);
        }
        let wakers = self.grant_all(&mut queue, permits, Self::grant_alone);
        drop(queue);
        wakers.into_iter().for_each(wake);
    }

    /// Pays the debt with a permit, or grants it to the next wait; else it is free.
    #[cold]
    fn grant_next(&self) {
        let mut queue = self.queue();
        if !queue.pairs.is_empty() {
            drop(queue);
            return grant_next_of_pairs(self, 1);
        }
        let taken = self.grant_alone(&mut queue);
        drop(queue);
        if let Grant::To(waker) = taken {
            wake(waker);
        }
    }

    /// Grants up to `permits`, until no wait takes the next; the rest is free. Returns the wakers, to be called after the
    /// lock.
    fn grant_all(
        &self,
        queue: &mut Queue,
        permits: usize,
        grant_next: impl Fn(&Self, &mut Queue) -> Grant,
    ) -> Vec<Option<Waker>> {
        let mut wakers = Vec::new();
        for left in (0..permits).rev() {
            match grant_next(self, queue) {
                Grant::To(waker) => wakers.push(waker),
                Grant::Unclaimed => {
                    self.free.fetch_add(left * ONE, Ordering::Release);
                    break;
                }
            }
        }
        wakers
    }

    /// Grants one, if no pair is in the queue.
    fn grant_alone(&self, queue: &mut Queue) -> Grant {
        if queue.debt > 0 {
            queue.debt -= 1;
            self.unless_queued(queue);
            return Grant::To(None);
        }
        let first = queue.alone.pop_first();
        if first.is_none() {
            self.free.fetch_add(ONE, Ordering::Release);
        }
        self.unless_queued(queue);
        first.map_or(Grant::Unclaimed, |(_, waiter)| Grant::To(waiter.grant()))
    }

    /// From now on permits are released under the lock, which is held.
    fn queued(&self) {
        self.free.fetch_or(QUEUED, Ordering::AcqRel);
    }

    /// Lets permits be released without the lock again, if they may.
    fn unless_queued(&self, queue: &Queue) {
        if queue.debt == 0 && !queue.has_waiters() {
            self.free.fetch_and(!QUEUED, Ordering::Release);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn at_most(size: usize) -> usize {
    if size > LARGEST { LARGEST } else { size }
}

impl<L: Borrow<Limit>> Permit<L> {
    /// Keeps the permit for an owner that has a reference to the limit already, and needs no other one to release it:
    /// [`Limit::kept`] returns it, once.
    #[inline]
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl<L: Borrow<Limit>> Drop for Permit<L> {
    #[inline]
    fn drop(&mut self) {
        self.0.borrow().release();
    }
}

/// The receiver of a released permit.
enum Grant {
    /// To a wait, whose waker is called after the lock, or to the debt.
    To(Option<Waker>),
    /// Nowhere: it is free.
    Unclaimed,
}

/// Wakes the next wait. A panic of its waker is not the fault of the code that releases the permit.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        quietly(|| waker.wake());
    }
}

/// A wait in the queue. Its lock is taken under the lock of the queue, never in the opposite order.
struct Waiter(Mutex<Turn>);

struct Turn {
    granted: bool,
    waker: Option<Waker>,
}

impl Waiter {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The waker is to be called once the lock of the queue is released.
    fn grant(&self) -> Option<Waker> {
        let mut turn = self.turn();
        turn.granted = true;
        turn.waker.take()
    }
}

/// Waits for a permit of one limit.
struct Wait<'a> {
    limit: &'a Limit,
    /// Its place, once it is in the queue, until it has the permit.
    waits: Option<(u64, Arc<Waiter>)>,
}

impl Wait<'_> {
    fn start(&mut self, cx: &Context<'_>) -> Poll<()> {
        let turn = Turn { granted: false, waker: Some(cx.waker().clone()) };
        let waiter = Arc::new(Waiter(Mutex::new(turn)));
        let mut queue = self.limit.queue();
        self.limit.queued();
        if self.limit.try_take() {
            self.limit.unless_queued(&queue);
            // Before the waker.
            drop(queue);
            return Poll::Ready(());
        }
        let place = queue.place();
        queue.alone.insert(place, waiter.clone());
        drop(queue);
        self.waits = Some((place, waiter));
        Poll::Pending
    }
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some((_, waiter)) = &self.waits else {
            return if self.limit.try_take() { Poll::Ready(()) } else { self.start(cx) };
        };
        let turn = waiter.turn();
        let mut granted = turn.granted;
        let wakes = |waker: &Waker| waker.will_wake(cx.waker());
        if !granted && !turn.waker.as_ref().is_some_and(wakes) {
            drop(turn);
            let waker = cx.waker().clone();
            let mut turn = waiter.turn();
            granted = turn.granted;
            let before = if granted { Some(waker) } else { turn.waker.replace(waker) };
            drop(turn);
            drop(before);
        } else {
            drop(turn);
        }
        if !granted {
            return Poll::Pending;
        }
        self.waits = None;
        Poll::Ready(())
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some((place, waiter)) = self.waits.take() else { return };
        let mut queue = self.limit.queue();
        let waited = queue.alone.remove(&place).is_some();
        self.limit.unless_queued(&queue);
        drop(queue);
        if !waited {
            // It was granted, and has not been fetched.
            self.limit.release();
        }
        drop(waiter);
    }
}

sync::global! {
    /// Taken before the locks of queues, and by pairs only.
    static PAIRS: Mutex<()> = Mutex::new(());
}

/// A wait for both; in the queues.
struct Pair {
    slots: Arc<Limit>,
    permits: &'static Limit,
    slots_place: u64,
    permits_place: u64,
    state: Mutex<PairState>,
}

struct PairState {
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
    fn state(&self) -> MutexGuard<'_, PairState> {
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

    /// Whether it has a permit of that limit, whose queue may be locked.
    #[cfg(any(
        feature = "axum",
        feature = "metrics",
        feature = "opentelemetry",
        feature = "prometheus"
    ))]
    fn holds(&self, limit: &Limit) -> bool {
        match self.state().has {
            Has::Nothing => false,
            Has::One(side) => std::ptr::eq(self.limit(side), limit),
            Has::Both => true,
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

/// Grants released permits to the first waits in the queue that can use them; see [`Limit::grant_next`].
#[cold]
fn grant_next_of_pairs(limit: &Limit, permits: usize) {
    let all = pairs();
    let mut queue = limit.queue();
    let wakers = limit.grant_all(&mut queue, permits, offer);
    drop(queue);
    drop(all);
    wakers.into_iter().for_each(wake);
}

/// Offers a permit to the first of each class, in the order of their places.
fn offer(limit: &Limit, queue: &mut Queue) -> Grant {
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
            return Grant::To(waker);
        }
        from = place + 1;
    }
    if first_alone.is_some() {
        return limit.grant_alone(queue);
    }
    limit.free.fetch_add(ONE, Ordering::Release);
    Grant::Unclaimed
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
