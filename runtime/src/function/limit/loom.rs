use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use loom::{
    future::block_on,
    thread::{self, JoinHandle},
};

use crate::sync::{join, model, spawn};
use crate::{
    function::limit::pair::{PairStatus, PairWait},
    function::limit::{Limit, Permit, Slot},
};

/// How many permits can be acquired once all are released.
fn free(limit: &Limit) -> usize {
    let taken: Vec<_> = std::iter::from_fn(|| Limit::try_acquire(limit)).collect();
    taken.len()
}

/// Starts a thread that waits for a permit and releases it.
fn spawn_wait(limit: &Arc<Limit>) -> JoinHandle<()> {
    spawn(limit, |limit| drop(block_on(Limit::acquire(limit))))
}

/// Invariant 1.
#[test]
fn no_permit_is_lost_or_duplicated_by_a_smaller_size() {
    model(Some(3), || {
        let limit = Arc::new(Limit::new(2));
        let out = Limit::try_acquire(limit.clone());
        let resizes = spawn(&limit, |limit| limit.resize(1));
        let runs = spawn(&limit, |limit| drop(Limit::try_acquire(limit)));
        drop(out);
        join(resizes);
        join(runs);
        assert_eq!(free(&limit), 1);
        assert_eq!(limit.queue().debt, 0);
    });
}

/// Invariant 1.
#[test]
fn no_permit_is_lost_or_duplicated_by_concurrent_resizes() {
    model(Some(3), || {
        let limit = Arc::new(Limit::new(1));
        let out = Limit::try_acquire(limit.clone());
        let sizes = [2, 3].map(|size| {
            spawn(&limit, move |limit| {
                limit.resize(size);
                limit.resize(1);
            })
        });
        drop(out);
        sizes.into_iter().for_each(join);
        assert_eq!(free(&limit), 1);
        assert_eq!(limit.queue().debt, 0);
    });
}

/// Invariant 2.
#[test]
fn at_most_the_smaller_size_is_acquired() {
    model(Some(2), || {
        let limit = Arc::new(Limit::new(2));
        let out = [(); 2].map(|()| Limit::try_acquire(limit.clone()));
        let ends = out.map(|permit| thread::spawn(move || drop(permit)));
        limit.resize(1);
        let taken = [(); 2].map(|()| Limit::try_acquire(&*limit));
        assert!(taken.iter().flatten().count() <= 1);
        drop(taken);
        ends.into_iter().for_each(join);
        assert_eq!(free(&limit), 1);
    });
}

/// Invariant 1: a wait gets a permit that was released.
#[test]
fn a_waiter_gets_a_permit_released_during_a_resize() {
    model(Some(2), || {
        let limit = Arc::new(Limit::new(2));
        let out = [(); 2].map(|()| Limit::try_acquire(limit.clone()));
        let waits = spawn_wait(&limit);
        let resizes = spawn(&limit, |limit| limit.resize(1));
        drop(out);
        join(waits);
        join(resizes);
        assert_eq!(free(&limit), 1);
    });
}

/// Invariants 3 and 4: a wait that starts while a permit is released gets it.
#[test]
fn two_waiters_get_the_one_permit_in_turn() {
    model(Some(2), || {
        let limit = Arc::new(Limit::new(1));
        let waits = [(); 2].map(|()| spawn_wait(&limit));
        drop(block_on(Limit::acquire(&*limit)));
        waits.into_iter().for_each(join);
        assert_eq!(free(&limit), 1);
    });
}

/// Invariant 1: a wait that is dropped while its permit arrives passes it on.
#[test]
fn a_dropped_wait_passes_its_granted_permit_on() {
    model(Some(3), || {
        let limit = Arc::new(Limit::new(1));
        let out = Limit::try_acquire(limit.clone());
        let drops = spawn(&limit, move |limit| {
            let mut wait = Box::pin(Limit::acquire(limit));
            _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        });
        let waits = spawn_wait(&limit);
        drop(out);
        join(drops);
        join(waits);
        assert_eq!(free(&limit), 1);
        assert_eq!(
            limit.free.load(std::sync::atomic::Ordering::Relaxed),
            crate::function::limit::ONE
        );
    });
}

/// A slot and a permit, as a scope and a function have them.
fn limits() -> (Arc<Limit>, &'static Limit) {
    (Arc::new(Limit::new(1)), Box::leak(Box::new(Limit::new(1))))
}

/// Waits for both. It releases at once what it holds: only both together admit it.
async fn both<'a>(slots: &'a Arc<Limit>, permits: &'static Limit) -> (Slot<'a>, Permit) {
    let mut wait = PairWait::new(slots, permits);
    poll_fn(|cx| {
        loop {
            match wait.poll(cx) {
                PairStatus::Admitted(slot, permit) => return Poll::Ready((slot, permit)),
                PairStatus::Holds => wait.release_held(),
                PairStatus::Waits => return Poll::Pending,
            }
        }
    })
    .await
}

/// Starts a thread that waits for both and releases them.
fn spawn_wait_for_both(slots: &Arc<Limit>, permits: &'static Limit) -> JoinHandle<()> {
    spawn(slots, move |slots| drop(block_on(both(&slots, permits))))
}

/// The two, both taken.
fn taken() -> (Arc<Limit>, &'static Limit, Option<Permit<Arc<Limit>>>, Option<Permit>) {
    let (slots, permits) = limits();
    let slot = Limit::try_acquire(slots.clone());
    let permit = Limit::try_acquire(permits);
    (slots, permits, slot, permit)
}

/// `pair.rs`, invariant 1: the later of the two releases finds it.
#[test]
fn a_pair_is_admitted_when_both_are_released_at_once() {
    model(Some(3), || {
        let (slots, permits, slot, permit) = taken();
        let waits = spawn_wait_for_both(&slots, permits);
        let returns = thread::spawn(move || drop(permit));
        drop(slot);
        join(returns);
        join(waits);
        assert_eq!((free(&slots), free(permits)), (1, 1));
    });
}

/// `pair.rs`, invariant 2: nothing is lost by a pair that is dropped at any stage.
#[test]
fn a_dropped_pair_returns_its_grants() {
    model(Some(2), || {
        let (slots, permits, slot, permit) = taken();
        let drops = spawn(&slots, move |slots| {
            let mut wait = PairWait::new(&slots, permits);
            _ = wait.poll(&Context::from_waker(Waker::noop()));
        });
        let waits = thread::spawn(move || drop(block_on(Limit::acquire(permits))));
        drop(slot);
        drop(permit);
        join(drops);
        join(waits);
        assert_eq!((free(&slots), free(permits)), (1, 1));
    });
}

/// One that waits for a slot alone and one that waits for both need the same slot.
#[test]
fn a_pair_and_a_wait_for_one_resource_are_both_served() {
    model(Some(2), || {
        let (slots, permits) = limits();
        let permit = Limit::try_acquire(permits);
        let pair = spawn_wait_for_both(&slots, permits);
        let alone = spawn_wait(&slots);
        drop(permit);
        join(pair);
        join(alone);
        assert_eq!((free(&slots), free(permits)), (1, 1));
    });
}

/// A limit that changes, and a pair in its queue.
#[test]
fn a_pair_is_admitted_by_a_larger_limit() {
    model(Some(2), || {
        let (slots, permits, slot, permit) = taken();
        let waits = spawn_wait_for_both(&slots, permits);
        let resizes = thread::spawn(move || permits.resize(2));
        slots.resize(2);
        join(resizes);
        join(waits);
        drop((slot, permit));
        assert_eq!((free(&slots), free(permits)), (2, 2));
    });
}
