use std::{
    future::{Ready, poll_fn, ready},
    panic::Location,
    sync::Arc,
    task::Poll,
};

use loom::{future::block_on, sync::Condvar, thread};

use super::{Bound, Driven, Pulled, Shared};
use crate::{
    CancellationToken, Outcome, Supervised, TaskError,
    registry::Key,
    run::{
        TaskCompletion,
        output::{SupervisedOutput as _, output},
        record::{OnThread, TaskRecord},
        supervise,
    },
    scope::{keep::Together, ordered::Index},
    spec::{Policy, model_spec},
    sync::{Mutex, join, model},
};

#[derive(Debug, PartialEq, Eq)]
enum Failure {
    Real,
    Cancelled,
}

impl From<TaskError> for Failure {
    fn from(_: TaskError) -> Self {
        Self::Cancelled
    }
}

type Items = Box<dyn Iterator<Item = u8> + Send>;
type Run = Supervised<Ready<Result<u8, Failure>>, CancellationToken>;
type Make = Box<dyn FnMut(CancellationToken, u8) -> Run + Send>;
type Map = Arc<Shared<Items, Make, Run, Together>>;

/// A map with room for so many runners, two of which are there.
fn map_of(items: Items, make: Make, limit: usize) -> Map {
    let map = Shared::new(CancellationToken::new(), Location::caller(), items, make);
    map.begin(model_spec(Policy::DEFAULT), Bound::Fixed(limit));
    assert!(map.grow(1).is_some(), "there is work for one more");
    Arc::new(map)
}

fn make(mut reads: impl FnMut(u8) + Send + 'static) -> Make {
    let spec = model_spec(Policy::DEFAULT);
    Box::new(move |token, item| {
        reads(item);
        supervise(spec, token, output(Result::<u8, Failure>::by_shape), ready(Ok(item)))
    })
}

/// A map with places for two runners, both taken, and what is pulled.
fn map(items: u8) -> (Map, Arc<Mutex<Vec<u8>>>) {
    let pulled: Arc<Mutex<Vec<u8>>> = Arc::default();
    let reads = pulled.clone();
    let make = make(move |item| {
        reads.lock().expect("loom's locks are not poisoned").push(item);
    });
    let map = map_of(Box::new(0..items), make, 2);
    map.started();
    (map, pulled)
}

fn record(map: &Map) -> Arc<TaskRecord> {
    let spec = model_spec(Policy::DEFAULT);
    TaskRecord::recycle_or_new(None, spec, Location::caller(), &map.scope, OnThread::Worker)
}

/// What a runner finds when it has stored an end, once it has waited for the source.
fn pull(map: &Map, key: Key, mut done: Option<Driven<Run>>) -> Option<Index> {
    block_on(poll_fn(|cx| {
        map.leave_queue(key);
        loop {
            if map.token.is_cancelled() {
                done.take().into_iter().for_each(|done| map.store(done));
                map.stop_reading();
                return Poll::Ready(None);
            }
            match map.pull(&mut done, || map.token.clone(), drop, &mut false) {
                Pulled::Run(index) => return Poll::Ready(Some(index)),
                Pulled::Nothing | Pulled::Unwanted => return Poll::Ready(None),
                Pulled::Panicked(..) => unreachable!("nothing panics here"),
                Pulled::Busy if map.wait_for_source(key, cx.waker()) => return Poll::Pending,
                Pulled::Busy => {}
            }
        }
    }))
}

/// As a runner: drives one run after another, whose ends are given.
fn drive(
    map: &Map,
    key: Key,
    task: &'static str,
    end: impl Fn(&Map) -> (Outcome, Result<u8, Failure>),
) {
    let mut done = None;
    while let Some(index) = pull(map, key, done) {
        let (outcome, result) = end(map);
        let ended = TaskCompletion { outcome, overdue: false, nanos: 0, result };
        done = Some(Driven { task, index, ended });
    }
    map.leave(Some(key));
}

/// Invariants 1 and 5; loom fails if the map, or a runner that waits for the source, is not woken.
#[test]
fn each_item_is_pulled_once_and_has_its_end() {
    model(Some(3), || {
        let (map, pulled) = map(2);
        let runners = ["a", "b"].map(|task| {
            let (map, key) = (map.clone(), map.enter(&record(&map)));
            thread::spawn(move || drive(&map, key, task, |_| (Outcome::Ok, Ok(7))))
        });
        block_on(poll_fn(|cx| map.poll_ended(cx)));
        assert_eq!(map.take_results(), Ok(vec![7, 7]));
        assert_eq!(*pulled.lock().expect("loom's locks are not poisoned"), [0, 1]);
        runners.into_iter().for_each(join);
    });
}

/// Invariant 2.
#[test]
fn no_cancellation_comes_before_the_failure_that_it_follows() {
    model(Some(3), || {
        let (map, _) = map(2);
        let ends = |map: &Map, fails: bool| match (fails, map.token.is_cancelled()) {
            (true, _) => (Outcome::Error, Err(Failure::Real)),
            (false, true) => {
                assert!(map.scope.cause().is_some());
                (Outcome::Cancelled, Err(Failure::Cancelled))
            }
            (false, false) => (Outcome::Ok, Ok(7)),
        };
        let runners = [true, false].map(|fails| {
            let (map, key) = (map.clone(), map.enter(&record(&map)));
            thread::spawn(move || drive(&map, key, "a", |map| ends(map, fails)))
        });
        block_on(poll_fn(|cx| map.poll_ended(cx)));
        // The one that does not fail may have done all the work.
        let result = map.take_results();
        assert!(matches!(result, Err(Failure::Real) | Ok(_)), "{result:?}");
        runners.into_iter().for_each(join);
    });
}

/// Invariant 4.
#[test]
fn no_runner_escapes_the_drop_of_its_map() {
    model(None, || {
        let (map, _) = map(2);
        let spawns = thread::spawn({
            let map = map.clone();
            move || {
                let record = record(&map);
                map.enter(&record);
                record
            }
        });
        map.abandon();
        let record = spawns.join().expect("loom ends the test where a thread panics");
        assert!(record.is_aborted());
        let pulled = map.pull(&mut None, || map.token.clone(), drop, &mut false);
        assert!(matches!(pulled, Pulled::Nothing), "nothing more is run");
    });
}

/// Invariant 6: an iterator that blocks until it may go on keeps no end from being stored, and no map from its end.
#[test]
fn a_blocked_iterator_keeps_no_map_from_its_end() {
    model(Some(2), || {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let blocks = std::iter::from_fn({
            let gate = gate.clone();
            move || {
                let (is_open, opened) = &*gate;
                let mut is_open = is_open.lock().expect("loom's locks are not poisoned");
                while !*is_open {
                    is_open = opened.wait(is_open).expect("loom's locks are not poisoned");
                }
                Some(1)
            }
        });
        let map = map_of(Box::new(std::iter::once(0).chain(blocks)), make(drop), 2);
        map.started();
        let runners = ["a", "b"].map(|task| {
            let (map, key) = (map.clone(), map.enter(&record(&map)));
            thread::spawn(move || drive(&map, key, task, |_| (Outcome::Error, Err(Failure::Real))))
        });
        // The first item fails, which fires the token.
        block_on(poll_fn(|cx| {
            let ended = map.poll_ended(cx).is_ready();
            let ended = ended || (map.token.is_cancelled() && map.waits_for_the_iterator(true));
            if ended { Poll::Ready(()) } else { Poll::Pending }
        }));
        assert_eq!(map.take_results(), Err(Failure::Real));
        let (is_open, opened) = &*gate;
        *is_open.lock().expect("loom's locks are not poisoned") = true;
        opened.notify_all();
        runners.into_iter().for_each(join);
    });
}

/// Invariant 7: a run that pends asks for one more runner, or leaves the question to a runner that reads.
#[test]
fn a_map_with_room_has_a_runner_that_reads_or_one_that_asks() {
    model(Some(2), || {
        let map = map_of(Box::new(0..3), make(drop), 3);
        // Each reads one item, whose run pends.
        let asked = Arc::new(Mutex::new(0));
        let runners = [false, true].map(|is_fresh| {
            let (map, asked) = (map.clone(), asked.clone());
            thread::spawn(move || {
                let key = map.enter(&record(&map));
                if is_fresh {
                    map.started();
                }
                assert!(pull(&map, key, None).is_some());
                let grew = usize::from(map.grow(1).is_some());
                *asked.lock().expect("loom's locks are not poisoned") += grew;
            })
        });
        runners.into_iter().for_each(join);
        assert_eq!(*asked.lock().expect("loom's locks are not poisoned"), 1);
    });
}

/// A token that fires while the source is asked whether it has more: what is left unread cuts the map.
#[test]
fn a_token_that_fires_while_a_runner_is_added_cuts_the_map() {
    model(Some(2), || {
        let items: Items = Box::new(0..1);
        let map = Shared::new(CancellationToken::new(), Location::caller(), items, make(drop));
        map.begin(model_spec(Policy::DEFAULT), Bound::Fixed(2));
        let map: Map = Arc::new(map);
        let reads = thread::spawn({
            let (map, key) = (map.clone(), map.enter(&record(&map)));
            move || drive(&map, key, "a", |_| (Outcome::Ok, Ok(7)))
        });
        let fires = thread::spawn({
            let map = map.clone();
            move || map.token.cancel()
        });
        if map.grow_exactly(1).is_some() {
            map.started();
            drive(&map, map.enter(&record(&map)), "b", |_| (Outcome::Ok, Ok(7)));
        }
        block_on(poll_fn(|cx| map.poll_ended(cx)));
        let result = map.take_results();
        let is_whole = result.as_ref().is_ok_and(|values| values.len() == 1);
        assert!(is_whole || result == Err(Failure::Cancelled), "{result:?}");
        join(reads);
        join(fires);
    });
}

/// Invariant 5: a runner that leaves takes out of the queue no other one, which may have got its key.
#[test]
fn a_runner_that_leaves_takes_no_other_one_out_of_the_queue() {
    model(Some(3), || {
        let map = map_of(Box::new(0..2), make(drop), 3);
        map.started();
        assert!(map.grow_exactly(1).is_some(), "there is work for a third");
        map.started();
        let [reads, leaves] = [(); 2].map(|()| map.enter(&record(&map)));
        let leaves = thread::spawn({
            let map = map.clone();
            // As one that is dropped before it has an item.
            move || map.leave(Some(leaves))
        });
        let enters = thread::spawn({
            let map = map.clone();
            move || drive(&map, map.enter(&record(&map)), "b", |_| (Outcome::Ok, Ok(7)))
        });
        drive(&map, reads, "a", |_| (Outcome::Ok, Ok(7)));
        block_on(poll_fn(|cx| map.poll_ended(cx)));
        assert_eq!(map.take_results(), Ok(vec![7, 7]));
        join(leaves);
        join(enters);
    });
}
