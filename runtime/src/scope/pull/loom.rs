use std::{
    future::{Ready, poll_fn, ready},
    panic::Location,
    sync::Arc,
};

use loom::{future::block_on, thread};

use super::{Bound, Driven, Shared};
use crate::{
    CancellationToken, Outcome, Supervised, TaskError,
    registry::Key,
    run::{
        Ended,
        output::{SupervisedOutput as _, output},
        row::{OnThread, Row},
        supervise,
    },
    scope::keep::Together,
    spec::{Policy, model_spec},
    sync::{Mutex, ended, model},
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

type Items = std::ops::Range<u8>;
type Run = Supervised<Ready<Result<u8, Failure>>, CancellationToken>;
type Make = Box<dyn FnMut(CancellationToken, u8) -> Run + Send>;
type Map = Arc<Shared<Items, Make, Run, Together>>;

/// A map with places for two runners, both taken, and what is pulled.
fn map(items: u8) -> (Map, Arc<Mutex<Vec<u8>>>) {
    let spec = model_spec(Policy::DEFAULT);
    let pulled: Arc<Mutex<Vec<u8>>> = Arc::default();
    let make: Make = Box::new({
        let pulled = pulled.clone();
        move |token, item| {
            pulled.lock().expect("loom's locks are not poisoned").push(item);
            supervise(spec, token, output(Result::<u8, Failure>::by_shape), ready(Ok(item)))
        }
    });
    let map = Shared::new(CancellationToken::new(), Location::caller(), 0..items, make);
    map.begin(spec, Bound::Fixed(2));
    assert!(map.grow().is_some(), "there is work for one more");
    (Arc::new(map), pulled)
}

fn row(map: &Map) -> Arc<Row> {
    let spec = model_spec(Policy::DEFAULT);
    Row::anew(None, spec, Location::caller(), &map.scope, OnThread::Worker)
}

/// As a runner: drives one run after another, whose ends are given.
fn drive(
    map: &Map,
    key: Key,
    task: &'static str,
    end: impl Fn(&Map) -> (Outcome, Result<u8, Failure>),
) {
    let mut done = None;
    while let Some(index) = map.pull(|| map.token.clone(), done, drop) {
        let (outcome, result) = end(map);
        let ended = Ended { outcome, overdue: false, nanos: 0, result };
        done = Some(Driven { task, index, ended });
    }
    map.leave(Some(key));
}

/// Invariant 1; loom fails where the map is not woken.
#[test]
fn each_item_is_pulled_once_and_has_its_end() {
    model(Some(3), || {
        let (map, pulled) = map(2);
        let runners = ["a", "b"].map(|task| {
            let (map, key) = (map.clone(), map.enter(&row(&map)));
            thread::spawn(move || drive(&map, key, task, |_| (Outcome::Ok, Ok(7))))
        });
        block_on(poll_fn(|cx| map.poll_ended(cx)));
        assert_eq!(map.take_results(), Ok(vec![7, 7]));
        assert_eq!(*pulled.lock().expect("loom's locks are not poisoned"), [0, 1]);
        runners.into_iter().for_each(ended);
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
            let (map, key) = (map.clone(), map.enter(&row(&map)));
            thread::spawn(move || drive(&map, key, "a", |map| ends(map, fails)))
        });
        block_on(poll_fn(|cx| map.poll_ended(cx)));
        // The one that does not fail may have done all the work.
        let result = map.take_results();
        assert!(matches!(result, Err(Failure::Real) | Ok(_)), "{result:?}");
        runners.into_iter().for_each(ended);
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
                let row = row(&map);
                map.enter(&row);
                row
            }
        });
        map.abandon();
        let row = spawns.join().expect("loom ends the test where a thread panics");
        assert!(row.is_aborted());
        assert!(map.pull(|| map.token.clone(), None, drop).is_none(), "nothing more is run");
    });
}
