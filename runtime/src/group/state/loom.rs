use std::{panic::Location, sync::Arc};

use loom::future::block_on;

use crate::group::state::GroupState;
use crate::{
    cause::Cause,
    context::tree::{OnThread, TaskRecord},
    function::Policy,
    function::loom::spec as model_spec,
    outcome::Outcome,
    registry::slab::Key,
    sync::{join, model, spawn},
    tasks::failure::Failure,
};
use tokio_util::sync::CancellationToken;

#[derive(Debug, PartialEq, Eq)]
enum Error {
    Real,
    Cancelled,
}

type Group = GroupState<u8, Error>;

fn group() -> Arc<Group> {
    Arc::new(Group::new(CancellationToken::new(), Location::caller()))
}

fn record(group: &Group) -> Arc<TaskRecord> {
    let spec = model_spec(Policy::DEFAULT);
    TaskRecord::recycle_or_new(None, spec, Location::caller(), &group.tasks.scope, OnThread::Worker)
}

fn register(group: &Arc<Group>) -> Key {
    group.register(&record(group)).expect("the group is open")
}

fn failed(
    task: &'static str,
    outcome: Outcome,
    error: Error,
) -> Result<Option<u8>, Failure<Error>> {
    Err(Failure { task: task.into(), place: Location::caller(), outcome, error, text: None })
}

/// Invariant 1.
#[test]
fn no_cancellation_precedes_the_failure_that_caused_it() {
    model(Some(3), || {
        let group = group();
        let (fails, stops) = (register(&group), register(&group));
        let fails = spawn(&group, move |group| {
            group.finish(fails, "a", failed("a", Outcome::Error, Error::Real), None)
        });
        let stops = spawn(&group, move |group| {
            let result = if group.tasks.token.is_cancelled() {
                assert_eq!(group.tasks.scope.cause(), Some(Cause::SiblingFailed { task: "a" }));
                failed("b", Outcome::Cancelled, Error::Cancelled)
            } else {
                Ok(Some(1))
            };
            group.finish(stops, "b", result, None);
        });
        block_on(group.close_when_finished());
        assert_eq!(group.take_results(), Err(Error::Real));
        join(fails);
        join(stops);
    });
}

/// Invariant 2: loom fails if the join is not woken.
#[test]
fn a_join_waits_for_all_tasks_and_is_woken_by_the_last() {
    model(None, || {
        let group = group();
        let entered = [register(&group), register(&group)];
        let tasks = entered
            .map(|index| spawn(&group, move |group| group.finish(index, "a", Ok(Some(1)), None)));
        block_on(group.close_when_finished());
        assert_eq!(group.take_results(), Ok(vec![1, 1]));
        tasks.into_iter().for_each(join);
    });
}

/// Invariant 2: the join waits for a registered task, or the task is not registered.
#[test]
fn no_task_is_registered_after_the_join() {
    model(Some(3), || {
        let group = group();
        let spawns = spawn(&group, move |group| match group.register(&record(&group)) {
            Some(index) => {
                group.finish(index, "a", Ok(Some(1)), None);
                1
            }
            None => 0,
        });
        block_on(group.close_when_finished());
        let joined = group.take_results().expect("none has failed").len();
        assert_eq!(joined, join(spawns));
    });
}

/// Invariant 2: a spawn that waits holds the join until its task has taken its place.
#[test]
fn a_join_waits_for_a_pending_spawn() {
    model(Some(3), || {
        let group = group();
        let number = group.add_waiter(model_spec(Policy::DEFAULT), |_| Error::Cancelled);
        let spawns = spawn(&group, move |group| {
            let index = register(&group);
            group.remove_waiter(number);
            group.finish(index, "a", Ok(Some(1)), None);
        });
        block_on(group.close_when_finished());
        assert_eq!(group.take_results(), Ok(vec![1]));
        join(spawns);
    });
}

/// Invariant 5.
#[test]
fn a_dropped_group_leaves_no_task_running() {
    model(Some(3), || {
        let group = group();
        let spawns = spawn(&group, move |group| {
            let record = record(&group);
            group.register(&record).map(|_| record)
        });
        group.on_drop();
        if let Some(record) = join(spawns) {
            assert!(record.is_aborted());
        }
        assert_eq!(group.tasks.scope.cause(), Some(Cause::ScopeDropped));
    });
}

/// Invariant 7: in either order, a failure and a value are neither kept nor taken twice.
#[test]
fn a_dropped_group_keeps_nothing() {
    model(Some(3), || {
        let group = group();
        let (fails, gives) = (register(&group), register(&group));
        let fails = spawn(&group, move |group| {
            group.finish(fails, "a", failed("a", Outcome::Error, Error::Real), None)
        });
        let gives = spawn(&group, move |group| group.finish(gives, "b", Ok(Some(1)), None));
        group.on_drop();
        join(fails);
        join(gives);
        let mut state = group.lock();
        assert!(state.failure.is_none() && state.values.take().is_empty());
        assert_eq!((state.tasks(), state.pending), (0, 0));
    });
}

/// Invariant 7: a spawn is refused, or the join waits for its task, no matter what fires the token meanwhile.
#[test]
fn a_spawn_is_refused_or_its_task_is_joined() {
    model(Some(3), || {
        let group = group();
        let fires = spawn(&group, move |group| group.tasks.token.cancel());
        match group.task_parts() {
            Some(_) => {
                let key = register(&group);
                group.finish(key, "a", Ok(Some(1)), None);
            }
            None => group.refuse("a", Cause::Token, Ok(Error::Cancelled), false),
        }
        block_on(group.close_when_finished());
        let refused = group.lock().refused.spawns;
        match group.take_results() {
            Ok(values) => assert_eq!((values, refused), (vec![1], 0)),
            Err(error) => assert_eq!((error, refused), (Error::Cancelled, 1)),
        }
        join(fires);
    });
}
