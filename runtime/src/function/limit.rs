//! How many runs of one function, or tasks of one scope, may be under way at once; it can change meanwhile.
//!
//! A queue of its own, where a semaphore would do for most waits: a wait for a slot and a permit must be able to let
//! its turn pass and keep its place (`pair.rs`), which no semaphore offers.
//!
//! A wait that was granted a permit and is not polled keeps it until it is dropped, as with tokio's semaphore: nobody
//! can tell it from one that is about to be polled. So the time for which a pair holds one of its two (`pair.rs`)
//! is not enforced without a poll either: the same pair, granted both, would keep them anyway.
//!
//! Invariants, checked by `tests/behaviour/set_limit.rs`, and for every interleaving by `function/limit/loom.rs`
//!
//! 1. Permits that are out, and free ones, are `size + debt` together: none is lost or made twice.
//! 2. While there is debt, no permit is free: a permit that comes back pays it. At most `size` are taken anew.
//! 3. While someone waits for this limit alone, no permit is free: nobody overtakes them, and waits are served in
//!    the order in which they began.
//! 4. While anyone waits or there is debt, `QUEUED` is set, and permits come back under the lock.
//! 5. No waker is called, cloned or dropped under a lock: it may change this very limit.
//!    (`tests/composition/fairness.rs`)
//! 6. One lock of a queue is held at a time, except by who holds that of the pairs.

pub(crate) mod pair;

use std::{
    borrow::Borrow,
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::function::limit::pair::Pair;
use crate::{
    panic::quietly,
    sync,
    sync::{Mutex, MutexGuard, atomic::AtomicUsize, atomic::Ordering},
};

/// The permits of a function, or the slots of a scope; first come, first served.
pub(crate) struct Limit {
    /// Free permits, in steps of `ONE`, and the bit `QUEUED`.
    free: AtomicUsize,
    size: AtomicUsize,
    queue: Mutex<Queue>,
}

/// The right to run; returned when it is dropped.
pub(crate) struct Permit<L: Borrow<Limit> = &'static Limit>(L);

/// A permit of a scope, which shares its limit with its tasks.
pub(crate) type Slot = Permit<Arc<Limit>>;

/// Set while permits must come back under the lock.
const QUEUED: usize = 1;
const ONE: usize = 2;

/// Sums of permits do not overflow.
const LARGEST: usize = usize::MAX >> 3;

struct Queue {
    /// How many permits are out beyond a size that was made smaller.
    debt: usize,
    /// The next place; places are not used twice.
    next: u64,
    alone: BTreeMap<u64, Arc<Waiter>>,
    /// Those that wait for a second limit too: by its address, then by place.
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
            assert!(size > 0, "`limit` must not be 0: nothing would ever run");
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

    /// A permit that is free now, unless others wait for it.
    #[inline]
    pub(crate) fn try_acquire<L: Borrow<Self>>(this: L) -> Option<Permit<L>> {
        // Not made before: it returns a permit where it is dropped.
        this.borrow().try_take().then(|| Permit(this))
    }

    /// Waits for a permit.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it gives up its place in the queue and takes nothing.
    pub(crate) async fn acquire<L: Borrow<Self>>(this: L) -> Permit<L> {
        let limit: &Self = this.borrow();
        Wait { limit, waits: None }.await;
        Permit(this)
    }

    /// Changes the size. What runs beyond a smaller one goes on, and is not replaced when it ends.
    pub(crate) fn resize(&self, size: usize) {
        let size = at_most(size);
        let mut queue = self.queue();
        // Under the lock: changes of the size come one after the other.
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
            return pair::grant_next(self, permits);
        }
        let wakers = self.grant_all(&mut queue, permits, Self::grant_alone);
        drop(queue);
        wakers.into_iter().for_each(wake);
    }

    /// Pays the debt with a permit, or passes it to who waits; else it is free.
    #[cold]
    fn grant_next(&self) {
        let mut queue = self.queue();
        if !queue.pairs.is_empty() {
            drop(queue);
            return pair::grant_next(self, 1);
        }
        let taken = self.grant_alone(&mut queue);
        drop(queue);
        if let Taken::By(waker) = taken {
            wake(waker);
        }
    }

    /// Hands on so many, until nobody takes the next; the rest is free. Returns the wakers, for the time after
    /// the lock.
    fn grant_all(
        &self,
        queue: &mut Queue,
        permits: usize,
        grant_next: impl Fn(&Self, &mut Queue) -> Taken,
    ) -> Vec<Option<Waker>> {
        let mut wakers = Vec::new();
        for left in (0..permits).rev() {
            match grant_next(self, queue) {
                Taken::By(waker) => wakers.push(waker),
                Taken::ByNobody => {
                    self.free.fetch_add(left * ONE, Ordering::Release);
                    break;
                }
            }
        }
        wakers
    }

    /// Hands one on, if no pair is in the queue.
    fn grant_alone(&self, queue: &mut Queue) -> Taken {
        if queue.debt > 0 {
            queue.debt -= 1;
            self.unless_queued(queue);
            return Taken::By(None);
        }
        let first = queue.alone.pop_first();
        if first.is_none() {
            self.free.fetch_add(ONE, Ordering::Release);
        }
        self.unless_queued(queue);
        first.map_or(Taken::ByNobody, |(_, waiter)| Taken::By(waiter.grant()))
    }

    /// From now on permits come back under the lock, which is held.
    fn queued(&self) {
        self.free.fetch_or(QUEUED, Ordering::AcqRel);
    }

    /// Permits come back without the lock again, if they may.
    fn unless_queued(&self, queue: &Queue) {
        if queue.debt == 0 && !queue.has_waiters() {
            self.free.fetch_and(!QUEUED, Ordering::Release);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, supervised_loom))]
mod loom;

const fn at_most(size: usize) -> usize {
    if size > LARGEST { LARGEST } else { size }
}

impl<L: Borrow<Limit>> Drop for Permit<L> {
    #[inline]
    fn drop(&mut self) {
        self.0.borrow().release();
    }
}

/// What has become of a permit that has come back.
enum Taken {
    /// By who waited, who is to be woken after the lock, or by the debt.
    By(Option<Waker>),
    /// It is free.
    ByNobody,
}

/// Wakes who waits next, whose waker is no fault of who returns the permit.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        quietly(|| waker.wake());
    }
}

/// Someone in the queue. Its lock is taken under that of the queue, never the other way round.
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
