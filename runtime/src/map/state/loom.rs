use std::{
    future::{Future, Ready, poll_fn, ready},
    panic::Location,
    sync::Arc,
    task::Poll,
};

use loom::{future::block_on, sync::Condvar, thread};

use crate::map::growth::WorkerLimit;
use crate::map::item_source::{FromStream, MapInput};
use crate::map::state::{MapState, NextRun, Wakes};
use crate::{
    context::tree::{OnThread, TaskRecord},
    error::TaskError,
    function::Policy,
    function::loom::spec as model_spec,
    map::results::{AsCompleted, CollectMode, FailFast, FinishedItem, InOrder, StreamBuffer},
    outcome::Outcome,
    registry::slab::Key,
    run::future::{Supervised, TaskCompletion, supervise},
    run::output::{SupervisedOutput as _, output},
    sync::{Mutex, join, model, spawn},
    tasks::reorder_buffer::Index,
};
use tokio_util::sync::CancellationToken;

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
type Map<K = FailFast, I = Items> = Arc<MapState<I, Make, Run, K>>;

/// A map with room for `n` workers, two of which exist.
fn map_of(items: Items, make: Make, limit: usize) -> Map {
    let map = MapState::new(CancellationToken::new(), Location::caller(), items, make);
    map.set_function(model_spec(Policy::DEFAULT), WorkerLimit::Fixed(limit));
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

/// A map with two workers, which is its limit, and the items that were read.
fn map(items: u8) -> (Map, Arc<Mutex<Vec<u8>>>) {
    let items_read: Arc<Mutex<Vec<u8>>> = Arc::default();
    let reads = items_read.clone();
    let make = make(move |item| {
        reads.lock().expect("loom's locks are not poisoned").push(item);
    });
    let map = map_of(Box::new(0..items), make, 2);
    map.worker_started();
    (map, items_read)
}

fn record<K: CollectMode<Run>, I: MapInput>(map: &Map<K, I>) -> Arc<TaskRecord> {
    let spec = model_spec(Policy::DEFAULT);
    TaskRecord::recycle_or_new(None, spec, Location::caller(), &map.tasks.scope, OnThread::Worker)
}

/// The steps of a worker after it has stored a result and has waited for the source.
fn next_index<K, I>(
    map: &Map<K, I>,
    key: Key,
    mut done: Option<FinishedItem<Run>>,
    wakes: &mut Wakes,
) -> Option<Index>
where
    K: CollectMode<Run>,
    I: MapInput<Item = u8>,
{
    let mut reading = None;
    // As the cancel waker of a worker: only where the token fires from outside, since it adds interleavings.
    let mut watches = wakes.woke.then(|| Box::pin(map.tasks.token.clone().cancelled_owned()));
    block_on(poll_fn(|cx| {
        map.dequeue(key);
        if let Some(watch) = &mut watches {
            _ = watch.as_mut().poll(cx);
        }
        let polled = loop {
            if map.tasks.token.is_cancelled() {
                done.take().into_iter().for_each(|done| _ = map.store(done, None, None));
                map.stop_reading(reading.take());
                break Poll::Ready(None);
            }
            let token = || map.tasks.token.clone();
            match map.complete_and_next(&mut done, &mut reading, cx, token, drop, wakes) {
                NextRun::Made(index) => break Poll::Ready(Some(index)),
                NextRun::Finished | NextRun::Unwanted => break Poll::Ready(None),
                NextRun::Panicked(..) => unreachable!("nothing panics here"),
                NextRun::SourceBorrowed | NextRun::Paused => {
                    if map.enqueue(key, cx.waker()) {
                        break Poll::Pending;
                    }
                }
                NextRun::SourcePending => break Poll::Pending,
                NextRun::Yields => {
                    cx.waker().wake_by_ref();
                    break Poll::Pending;
                }
            }
        };
        if polled.is_pending() && std::mem::take(&mut wakes.owes_consumer) {
            map.wake_consumer();
        }
        polled
    }))
}

/// As a worker: drives one run after another, whose ends are given.
fn drive<K, I>(
    map: &Map<K, I>,
    key: Key,
    task: &'static str,
    end: impl Fn(&Map<K, I>) -> (Outcome, Result<u8, Failure>),
) where
    K: CollectMode<Run>,
    I: MapInput<Item = u8>,
{
    drive_with(map, key, task, end, Wakes::default());
}

/// The same. With `wakes.woke`, each worker watches the token.
fn drive_with<K, I>(
    map: &Map<K, I>,
    key: Key,
    task: &'static str,
    end: impl Fn(&Map<K, I>) -> (Outcome, Result<u8, Failure>),
    mut wakes: Wakes,
) where
    K: CollectMode<Run>,
    I: MapInput<Item = u8>,
{
    let mut done = None;
    while let Some(index) = next_index(map, key, done, &mut wakes) {
        let (outcome, result) = end(map);
        let ended = TaskCompletion { outcome, overdue: false, nanos: 0, result };
        done = Some(FinishedItem { task, index, ended });
    }
    map.finish(Some(key));
    if wakes.owes_consumer {
        map.wake_consumer();
    }
}

/// Invariants 1 and 5; loom fails if the map, or a worker that waits for the source, is not woken.
#[test]
fn each_item_is_read_once_and_has_one_result() {
    model(Some(3), || {
        let (map, items_read) = map(2);
        let workers = ["a", "b"].map(|task| {
            let (map, key) = (map.clone(), map.register(&record(&map)));
            thread::spawn(move || drive(&map, key, task, |_| (Outcome::Ok, Ok(7))))
        });
        block_on(poll_fn(|cx| map.poll_finished(cx)));
        assert_eq!(map.take_results(), Ok(vec![7, 7]));
        assert_eq!(*items_read.lock().expect("loom's locks are not poisoned"), [0, 1]);
        workers.into_iter().for_each(join);
    });
}

/// Invariant 2.
#[test]
fn no_cancellation_precedes_the_failure_that_caused_it() {
    model(Some(3), || {
        let (map, _) = map(2);
        let ends = |map: &Map, fails: bool| match (fails, map.tasks.token.is_cancelled()) {
            (true, _) => (Outcome::Error, Err(Failure::Real)),
            (false, true) => {
                assert!(map.tasks.scope.cause().is_some());
                (Outcome::Cancelled, Err(Failure::Cancelled))
            }
            (false, false) => (Outcome::Ok, Ok(7)),
        };
        let workers = [true, false].map(|fails| {
            let (map, key) = (map.clone(), map.register(&record(&map)));
            thread::spawn(move || drive(&map, key, "a", |map| ends(map, fails)))
        });
        block_on(poll_fn(|cx| map.poll_finished(cx)));
        // The one that does not fail may have done all the work.
        let result = map.take_results();
        assert!(matches!(result, Err(Failure::Real) | Ok(_)), "{result:?}");
        workers.into_iter().for_each(join);
    });
}

/// Invariant 4.
#[test]
fn no_worker_escapes_the_drop_of_its_map() {
    model(None, || {
        let (map, _) = map(2);
        let spawns = spawn(&map, move |map| {
            let record = record(&map);
            let key = map.register(&record);
            (record, key)
        });
        map.on_drop();
        let (record, key) = join(spawns);
        assert!(record.is_aborted());
        assert!(
            next_index(&map, key, None, &mut Wakes::default()).is_none(),
            "nothing more is run"
        );
    });
}

/// Invariant 6: an iterator that blocks until it may go on keeps no end from being stored, and no map from its end.
#[test]
fn a_blocked_iterator_does_not_delay_the_end_of_its_map() {
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
        map.worker_started();
        let workers = ["a", "b"].map(|task| {
            let (map, key) = (map.clone(), map.register(&record(&map)));
            thread::spawn(move || drive(&map, key, task, |_| (Outcome::Error, Err(Failure::Real))))
        });
        // The first item fails, which fires the token.
        block_on(poll_fn(|cx| {
            let ended = map.poll_finished(cx).is_ready();
            let ended =
                ended || (map.tasks.token.is_cancelled() && map.is_blocked_on_iterator(true));
            if ended { Poll::Ready(()) } else { Poll::Pending }
        }));
        assert_eq!(map.take_results(), Err(Failure::Real));
        let (is_open, opened) = &*gate;
        *is_open.lock().expect("loom's locks are not poisoned") = true;
        opened.notify_all();
        workers.into_iter().for_each(join);
    });
}

/// Invariant 7: a run that pends requests one more worker, or a worker that reads repeats the request.
#[test]
fn a_map_with_room_has_a_reader_or_requests_one() {
    model(Some(2), || {
        let map = map_of(Box::new(0..3), make(drop), 3);
        // Each reads one item, whose run pends.
        let asked = Arc::new(Mutex::new(0));
        let workers = [false, true].map(|is_new| {
            let (map, asked) = (map.clone(), asked.clone());
            thread::spawn(move || {
                let key = map.register(&record(&map));
                if is_new {
                    map.worker_started();
                }
                assert!(next_index(&map, key, None, &mut Wakes::default()).is_some());
                let grew = usize::from(map.grow(1).is_some());
                *asked.lock().expect("loom's locks are not poisoned") += grew;
            })
        });
        workers.into_iter().for_each(join);
        assert_eq!(*asked.lock().expect("loom's locks are not poisoned"), 1);
    });
}

/// A token that fires while the source is checked for more items: unread items truncate the map.
#[test]
fn a_token_that_fires_as_a_worker_is_added_stops_the_map() {
    model(Some(2), || {
        let items: Items = Box::new(0..1);
        let map = MapState::new(CancellationToken::new(), Location::caller(), items, make(drop));
        map.set_function(model_spec(Policy::DEFAULT), WorkerLimit::Fixed(2));
        let map: Map = Arc::new(map);
        let reads = thread::spawn({
            let (map, key) = (map.clone(), map.register(&record(&map)));
            move || drive(&map, key, "a", |_| (Outcome::Ok, Ok(7)))
        });
        let fires = spawn(&map, move |map| map.tasks.token.cancel());
        if map.grow_exactly(1).is_some() {
            map.worker_started();
            drive(&map, map.register(&record(&map)), "b", |_| (Outcome::Ok, Ok(7)));
        }
        block_on(poll_fn(|cx| map.poll_finished(cx)));
        let result = map.take_results();
        let is_whole = result.as_ref().is_ok_and(|values| values.len() == 1);
        assert!(is_whole || result == Err(Failure::Cancelled), "{result:?}");
        join(reads);
        join(fires);
    });
}

/// Invariant 5: a worker that ends does not remove another one, which may have got its key, from the queue.
#[test]
fn a_worker_that_ends_dequeues_no_other_worker() {
    model(Some(3), || {
        let map = map_of(Box::new(0..2), make(drop), 3);
        map.worker_started();
        assert!(map.grow_exactly(1).is_some(), "there is work for a third");
        map.worker_started();
        let [reads, leaves] = [(); 2].map(|()| map.register(&record(&map)));
        let leaves = spawn(&map, move |map| {
            // As one that is dropped before it has an item.
            map.finish(Some(leaves))
        });
        let enters = spawn(&map, move |map| {
            drive(&map, map.register(&record(&map)), "b", |_| (Outcome::Ok, Ok(7)))
        });
        drive(&map, reads, "a", |_| (Outcome::Ok, Ok(7)));
        block_on(poll_fn(|cx| map.poll_finished(cx)));
        assert_eq!(map.take_results(), Ok(vec![7, 7]));
        join(leaves);
        join(enters);
    });
}

/// A map whose results are returned one by one, with `workers` of at most `limit` workers.
fn stream_of<K, I>(items: I, workers: usize, limit: usize) -> Map<K, I>
where
    K: CollectMode<Run>,
    I: MapInput<Item = u8> + Send,
{
    let map = MapState::new(CancellationToken::new(), Location::caller(), items, make(drop));
    map.set_function(model_spec(Policy::DEFAULT), WorkerLimit::Fixed(limit));
    for _ in 1..workers {
        assert!(map.grow(1).is_some(), "there is work for one more");
        map.worker_started();
    }
    Arc::new(map)
}

fn next_result<K, I>(map: &Map<K, I>) -> Option<K::Item>
where
    K: CollectMode<Run, Buffer: StreamBuffer>,
    I: MapInput<Item = u8>,
{
    block_on(poll_fn(|cx| map.poll_next(cx)))
}

fn ok<K: CollectMode<Run>, I: MapInput>(_: &Map<K, I>) -> (Outcome, Result<u8, Failure>) {
    (Outcome::Ok, Ok(7))
}

/// Invariants 5 and 9: a worker that has paused is woken by the consumer, which is woken by the worker.
fn consumer_against_workers<K>(workers: usize, limit: usize, items: u8)
where
    K: CollectMode<Run, Item = Result<u8, Failure>, Buffer: StreamBuffer> + 'static,
{
    let map = stream_of::<K, _>(0..items, workers, limit);
    let workers: Vec<_> = (0..workers)
        .map(|_| {
            let (map, key) = (map.clone(), map.register(&record(&map)));
            thread::spawn(move || drive(&map, key, "a", ok))
        })
        .collect();
    for _ in 0..items {
        assert_eq!(next_result(&map), Some(Ok(7)));
    }
    assert_eq!(next_result(&map), None);
    workers.into_iter().for_each(join);
}

#[test]
fn a_consumer_and_a_paused_worker_wake_each_other() {
    model(Some(3), || consumer_against_workers::<InOrder>(1, 1, 2));
}

#[test]
fn two_workers_share_the_end_of_a_pause() {
    model(Some(1), || consumer_against_workers::<AsCompleted>(2, 2, 3));
}

/// Invariant 9: a token ends the pause, what has finished is returned, and the consumer is woken at the end.
#[test]
fn a_token_ends_a_paused_stream() {
    model(Some(1), || {
        let map = stream_of::<InOrder, _>(0..2, 1, 1);
        let key = map.register(&record(&map));
        let watching = Wakes { woke: true, owes_consumer: false };
        let worker = spawn(&map, move |map| drive_with(&map, key, "a", ok, watching));
        let fires = spawn(&map, |map| map.tasks.token.cancel());
        let mut returned = 0;
        while let Some(result) = next_result(&map) {
            assert_eq!(result, Ok(7));
            returned += 1;
        }
        let last = map.take_results().expect("no failure stops it");
        assert!(if last.is_empty() { returned == 2 } else { returned < 2 }, "{returned}");
        join(worker);
        join(fires);
    });
}

/// Invariants 4 and 5: a consumer that is dropped leaves no worker in the queue.
#[test]
fn a_dropped_consumer_releases_a_paused_worker() {
    model(Some(3), || {
        let map = stream_of::<AsCompleted, _>(0..4, 1, 1);
        let key = map.register(&record(&map));
        let worker = spawn(&map, move |map| drive(&map, key, "a", ok));
        assert_eq!(next_result(&map), Some(Ok(7)));
        map.on_drop();
        join(worker);
    });
}

/// A stream that another thread fills: a worker that waits for it is woken, and the consumer gets each result before
/// the next item is there.
#[test]
fn a_pending_stream_delays_no_finished_result() {
    model(Some(2), || {
        let slot: Arc<Mutex<(Option<u8>, Option<std::task::Waker>)>> = Arc::default();
        let items = futures_util::stream::poll_fn({
            let (slot, mut left) = (slot.clone(), 2);
            move |cx| {
                if left == 0 {
                    return Poll::Ready(None);
                }
                let mut slot = slot.lock().expect("loom's locks are not poisoned");
                let Some(item) = slot.0.take() else {
                    slot.1 = Some(cx.waker().clone());
                    return Poll::Pending;
                };
                left -= 1;
                Poll::Ready(Some(item))
            }
        });
        let map = stream_of::<InOrder, _>(FromStream::new(items), 1, 2);
        let key = map.register(&record(&map));
        let worker = spawn(&map, move |map| drive(&map, key, "a", ok));
        for item in 0..2 {
            let mut slot = slot.lock().expect("loom's locks are not poisoned");
            slot.0 = Some(item);
            let waker = slot.1.take();
            drop(slot);
            waker.into_iter().for_each(std::task::Waker::wake);
            assert_eq!(next_result(&map), Some(Ok(7)), "before the next item is there");
        }
        assert_eq!(next_result(&map), None);
        join(worker);
    });
}
