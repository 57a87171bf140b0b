use std::{panic::Location, sync::Arc, time::Duration};

use loom::{future::block_on, thread};

use crate::{
    cause::Cause,
    context::tree::{OnThread, TaskRecord},
    function::Policy,
    function::limit::Limit,
    function::loom::spec as model_spec,
    registry::unfinished::Unfinished,
    sync::{atomic::AtomicBool, atomic::Ordering, join, model, spawn},
    tasks::admission::reserve,
};
use crate::{
    pool::drain::Drained,
    pool::options::Options,
    pool::state::{PoolState, SlotKind, TaskParts},
    tasks::refused::Closed,
};

fn pool(limit: usize) -> Arc<PoolState> {
    PoolState::new(limit, Location::caller(), Options::default())
}

fn parts(pool: &PoolState) -> TaskParts {
    pool.task_parts(SlotKind::Reserved).expect("a reserved slot is accepted work")
}

fn record(pool: &PoolState) -> Arc<TaskRecord> {
    let spec = model_spec(Policy::DEFAULT);
    let recycled = parts(pool).1;
    TaskRecord::recycle_or_new(
        recycled,
        spec,
        Location::caller(),
        &pool.tasks.scope,
        OnThread::Worker,
    )
}

/// The steps of a spawn and its task.
fn spawn_and_end(pool: &PoolState, is_drained: &AtomicBool) {
    let Some(slot) = Limit::try_acquire(&*pool.limit) else { return };
    if let Ok(key) = pool.register(&record(pool), SlotKind::New) {
        assert!(!is_drained.load(Ordering::Acquire), "accepted after the drain");
        pool.finish(key, None);
    }
    drop(slot);
}

/// Invariants 1 and 2: loom fails if the drain is not woken.
#[test]
fn a_drain_waits_for_the_last_task_and_accepts_no_more() {
    model(Some(2), || {
        let pool = pool(2);
        let is_drained = Arc::new(AtomicBool::new(false));
        let spawns = [(); 2].map(|()| {
            let (pool, is_drained) = (pool.clone(), is_drained.clone());
            thread::spawn(move || spawn_and_end(&pool, &is_drained))
        });
        pool.close();
        block_on(pool.wait_until_idle());
        is_drained.store(true, Ordering::Release);
        spawns.into_iter().for_each(join);
        assert!(pool.lock().is_idle());
    });
}

/// Invariants 1 and 2.
#[test]
fn a_drain_waits_for_a_reserved_slot_and_its_task() {
    model(Some(3), || {
        let pool = pool(1);
        let is_drained = Arc::new(AtomicBool::new(false));
        let reserves = thread::spawn({
            let (pool, is_drained) = (pool.clone(), is_drained.clone());
            move || {
                let slot = block_on(reserve(&pool.limit, &pool.tasks.scope)).ok();
                if pool.reserve().is_ok() {
                    assert!(!is_drained.load(Ordering::Acquire), "accepted after the drain");
                    let key = pool.register(&record(&pool), SlotKind::Reserved);
                    pool.finish(key.expect("a reserved slot is accepted work"), None);
                }
                drop(slot);
            }
        });
        pool.close();
        block_on(pool.wait_until_idle());
        is_drained.store(true, Ordering::Release);
        assert_eq!(pool.reserve(), Err(Closed::NO_TASK));
        join(reserves);
        assert!(pool.lock().is_idle());
    });
}

/// Invariant 1: a slot that is dropped unused.
#[test]
fn a_reserved_slot_that_is_dropped_ends_the_drain() {
    model(None, || {
        let pool = pool(1);
        pool.reserve().expect("the pool is open");
        let drops = spawn(&pool, move |pool| pool.unreserve());
        pool.close();
        block_on(pool.wait_until_idle());
        join(drops);
    });
}

/// Invariant 3.
#[test]
fn there_are_never_more_tasks_than_slots() {
    model(Some(3), || {
        let pool = pool(1);
        let spawns = [(); 2].map(|()| {
            spawn(&pool, move |pool| {
                let Some(slot) = Limit::try_acquire(&*pool.limit) else { return };
                let key = pool.register(&record(&pool), SlotKind::New).expect("the pool is open");
                assert!(pool.lock().tasks() <= 1);
                pool.finish(key, None);
                drop(slot);
            })
        });
        spawns.into_iter().for_each(join);
    });
}

/// Invariant 6.
#[test]
fn no_task_escapes_an_abort() {
    model(None, || {
        let pool = pool(2);
        let spawns = spawn(&pool, move |pool| {
            let record = record(&pool);
            pool.register(&record, SlotKind::New).expect("the pool is open");
            record
        });
        pool.tasks.abort();
        let record = join(spawns);
        assert!(record.is_aborted());
    });
}

/// Invariant 8: a task that is made after something else has fired the token is not cancelled by it.
#[test]
fn a_token_that_something_else_fired_is_replaced() {
    model(Some(2), || {
        let pool = pool(2);
        let (kept, _) = parts(&pool);
        let fires = thread::spawn(move || kept.cancel());
        let spawns = spawn(&pool, move |pool| drop(parts(&pool)));
        join(fires);
        let (token, _) = parts(&pool);
        assert!(!token.is_cancelled());
        join(spawns);
        let (again, _) = parts(&pool);
        assert!(again == token, "a token that has not fired is not replaced");
    });
}

/// Invariant 8: the tokens of a pool that stops have fired, also if something else fires and replaces one meanwhile.
#[test]
fn no_token_escapes_the_stop() {
    model(Some(2), || {
        let pool = pool(2);
        let (kept, _) = parts(&pool);
        let spawns = spawn(&pool, move |pool| {
            kept.cancel();
            parts(&pool).0
        });
        pool.cancel(Cause::Drained);
        let token = join(spawns);
        assert!(token.is_cancelled());
        assert!(parts(&pool).0.is_cancelled());
    });
}

/// Invariant 7: a task ends while a drain cancels it.
#[test]
fn a_task_that_a_drain_cancels_is_returned_by_each_drain() {
    model(Some(2), || {
        let pool = pool(1);
        let record = record(&pool);
        let key = pool.register(&record, SlotKind::New).expect("the pool is open");
        let task = spawn(&pool, move |pool| {
            let is_cut = pool.tasks.token.is_cancelled();
            if is_cut {
                pool.on_cancelled(&record);
            }
            pool.finish(key, None);
            is_cut
        });
        let found = |drained: Result<Drained, Unfinished>| {
            drained.map_or_else(|found| found.tasks().len() + found.cut().len(), |_| 0)
        };
        let first = found(block_on(pool.drain(Duration::ZERO)));
        let is_cut = join(task);
        assert!(!is_cut || first == 1, "a drain returned `Ok` for work that it cut");
        assert_eq!(found(block_on(pool.drain(Duration::ZERO))), first);
    });
}

/// Two drains at once: both end, and both return the task that did not stop.
#[test]
fn two_drains_both_return_a_task_that_did_not_stop() {
    model(Some(2), || {
        let pool = pool(1);
        let record = record(&pool);
        pool.register(&record, SlotKind::New).expect("the pool is open");
        let drains = {
            let pool = pool.clone();
            move || block_on(pool.drain(Duration::ZERO)).map_err(|left| left.tasks().len())
        };
        let other = thread::spawn(drains.clone());
        assert_eq!(drains(), Err(1));
        let other = join(other);
        assert_eq!(other, Err(1));
        assert!(record.is_aborted());
    });
}
