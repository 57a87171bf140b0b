use std::sync::Arc;

use loom::{future::block_on, thread};

use super::Limit;
use crate::sync::{atomic::Ordering, ended, model};

/// All that can be taken, once nothing is out.
fn free(limit: &Limit) -> usize {
    let taken: Vec<_> = std::iter::from_fn(|| Limit::try_acquire(limit)).collect();
    taken.len()
}

/// Invariant 1.
#[test]
fn no_permit_is_lost_or_made_twice_by_a_smaller_size() {
    model(Some(3), || {
        let limit = Arc::new(Limit::new(2));
        let out = Limit::try_acquire(limit.clone());
        let resizes = thread::spawn({
            let limit = limit.clone();
            move || limit.resize(1)
        });
        let runs = thread::spawn({
            let limit = limit.clone();
            move || drop(Limit::try_acquire(limit))
        });
        drop(out);
        ended(resizes);
        ended(runs);
        assert_eq!(free(&limit), 1);
        assert_eq!(limit.debt.load(Ordering::Relaxed), 0);
    });
}

/// Invariant 1.
#[test]
fn no_permit_is_lost_or_made_twice_by_two_changes_at_once() {
    model(Some(3), || {
        let limit = Arc::new(Limit::new(1));
        let out = Limit::try_acquire(limit.clone());
        let sizes = [2, 3].map(|size| {
            let limit = limit.clone();
            thread::spawn(move || {
                limit.resize(size);
                limit.resize(1);
            })
        });
        drop(out);
        sizes.into_iter().for_each(ended);
        assert_eq!(free(&limit), 1);
        assert_eq!(limit.debt.load(Ordering::Relaxed), 0);
    });
}

/// Invariant 2.
#[test]
fn at_most_a_smaller_size_is_taken_anew() {
    model(Some(2), || {
        let limit = Arc::new(Limit::new(2));
        let out = [(); 2].map(|()| Limit::try_acquire(limit.clone()));
        let ends = out.map(|permit| thread::spawn(move || drop(permit)));
        limit.resize(1);
        let anew = [(); 2].map(|()| Limit::try_acquire(&*limit));
        assert!(anew.iter().flatten().count() <= 1);
        drop(anew);
        ends.into_iter().for_each(ended);
        assert_eq!(free(&limit), 1);
    });
}

/// Invariant 1: a permit that has come back is found by who waits.
#[test]
fn who_waits_gets_the_permit_that_comes_back_while_the_size_changes() {
    model(Some(2), || {
        let limit = Arc::new(Limit::new(2));
        let out = [(); 2].map(|()| Limit::try_acquire(limit.clone()));
        let waits = thread::spawn({
            let limit = limit.clone();
            move || drop(block_on(Limit::acquire(limit)))
        });
        let resizes = thread::spawn({
            let limit = limit.clone();
            move || limit.resize(1)
        });
        drop(out);
        ended(waits);
        ended(resizes);
        assert_eq!(free(&limit), 1);
    });
}
