//! How many runs of one function, or tasks of one scope, may be under way at once; it can change meanwhile.
//!
//! Invariants, checked by `tests/behaviour/set_limit.rs`, and for every interleaving by `limit/loom.rs`
//!
//! 1. Permits that are out, and free ones, are `size + debt` together: none is lost or made twice.
//! 2. Who takes a permit after a smaller size was set finds the debt, and pays it with that permit: at most
//!    `size` are taken anew. A permit that comes back pays first, too.

use std::{
    borrow::Borrow,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
};

use crate::{
    panic::quietly,
    sync::{
        self, Mutex, Semaphore,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The permits of a function, or the slots of a scope; first come, first served.
pub(crate) struct Limit {
    permits: Semaphore,
    size: AtomicUsize,
    /// How many permits are out beyond a size that was made smaller.
    debt: AtomicUsize,
    resizing: Mutex<()>,
}

/// The right to run; given back when it is dropped.
pub(crate) struct Permit<L: Borrow<Limit> = &'static Limit>(L);

/// A permit of a scope, which shares its limit with its tasks.
pub(crate) type Slot = Permit<Arc<Limit>>;

/// How many of the permits of a larger limit are handed out one by one.
const SINGLY: usize = 1_024;

impl Limit {
    sync::const_fn! {
        /// # Panics
        ///
        /// Where `size` is 0. In a `static` the compiler tells.
        #[track_caller]
        pub(crate) const fn new(size: usize) -> Self {
            assert!(size > 0, "`limit` must not be 0: nothing would ever run");
            let size = at_most(size);
            Self {
                permits: Semaphore::const_new(size),
                size: AtomicUsize::new(size),
                debt: AtomicUsize::new(0),
                resizing: Mutex::new(()),
            }
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    /// A permit that is free now, unless others wait for it already.
    #[inline]
    pub(crate) fn try_acquire<L: Borrow<Self>>(this: L) -> Option<Permit<L>> {
        let limit: &Self = this.borrow();
        loop {
            limit.permits.try_acquire().ok()?.forget();
            if !limit.pay_debt() {
                return Some(Permit(this));
            }
        }
    }

    /// Waits for a permit.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it gives up its place in the queue and takes nothing.
    pub(crate) async fn acquire<L: Borrow<Self>>(this: L) -> Permit<L> {
        let limit: &Self = this.borrow();
        loop {
            let permit = limit.permits.acquire().await;
            permit.expect("the semaphore of a limit is never closed").forget();
            if !limit.pay_debt() {
                return Permit(this);
            }
        }
    }

    /// Changes the size. What runs beyond a smaller one goes on, and is not replaced when it ends.
    pub(crate) fn resize(&self, size: usize) {
        let size = at_most(size);
        let _one_at_a_time = self.resizing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.size.swap(size, Ordering::Relaxed);
        if size < before {
            let surplus = before - size;
            let forgotten = self.permits.forget_permits(surplus);
            self.debt.fetch_add(surplus - forgotten, Ordering::Release);
        } else {
            let more = size - before;
            let unpaid = (0..more).find(|_| !self.pay_debt()).map_or(0, |paid| more - paid);
            // One by one where many may wait: a waker that panics costs nobody else a permit.
            for _ in 0..unpaid.min(SINGLY) {
                quietly(|| self.permits.add_permits(1));
            }
            quietly(|| self.permits.add_permits(unpaid.saturating_sub(SINGLY)));
        }
    }

    /// Takes one permit off the debt, if there is any.
    #[inline]
    fn pay_debt(&self) -> bool {
        self.debt.load(Ordering::Acquire) > 0 && self.pay()
    }

    #[cold]
    fn pay(&self) -> bool {
        let one_less = |debt: usize| debt.checked_sub(1);
        self.debt.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less).is_ok()
    }
}

#[cfg(all(test, supervised_loom))]
mod loom;

const fn at_most(size: usize) -> usize {
    if size > Semaphore::MAX_PERMITS { Semaphore::MAX_PERMITS } else { size }
}

impl<L: Borrow<Limit>> Drop for Permit<L> {
    #[inline]
    fn drop(&mut self) {
        let limit: &Limit = self.0.borrow();
        if !limit.pay_debt() {
            // It wakes who waits next, whose waker is no fault of who gives the permit back: the hook tells its panic.
            let woken = catch_unwind(AssertUnwindSafe(|| limit.permits.add_permits(1)));
            woken.unwrap_or_else(mem::forget);
        }
    }
}
