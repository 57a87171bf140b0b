//! Groups.

use std::{future::pending, sync::Arc};

use tokio::schedule::all_ended;
use tokio_supervised::{CancellationToken, Group, GroupHandle, Outcome, TaskError, supervised};

use crate::{
    explore::{any, below},
    record::{
        Act, ENDING, End, FAILING, Failed, Seen, Since, act, every_permit_is_back, some_turns,
    },
};

#[supervised(name = "group: task", limit = 2)]
async fn task(
    token: &CancellationToken,
    number: usize,
    what: Act,
    seen: Arc<Seen>,
) -> Result<usize, Failed> {
    act(token, number, what, seen).await
}

#[supervised(name = "group: held")]
async fn held(seen: Arc<Seen>) -> Result<usize, Failed> {
    let _running = seen.enter();
    pending().await
}

#[supervised(name = "group: parent")]
async fn parent(
    token: &CancellationToken,
    group: GroupHandle<usize, Failed>,
    number: usize,
    seen: Arc<Seen>,
) -> Result<usize, Failed> {
    let _running = seen.enter();
    for child in 1..=2 {
        let seen = seen.clone();
        group.spawn(move |token| task(token, number + child, any(ENDING), seen)).await.unwrap();
    }
    if token.is_cancelled() { Ok(0) } else { Ok(number) }
}

/// Is never pending: only its token ends it.
#[supervised(name = "group: polls its token")]
async fn polls_its_token(token: &CancellationToken) -> Result<usize, Failed> {
    while !token.is_cancelled() {
        shuttle::thread::yield_now();
    }
    Ok(0)
}

/// Spawns a few tasks, in the order of their numbers.
async fn feed(
    group: GroupHandle<usize, Failed>,
    first: usize,
    of: &'static [Act],
    seen: Arc<Seen>,
) {
    for number in first..first + 1 + below(3) {
        let seen = seen.clone();
        let what = any(of);
        _ = group.spawn(move |token| task(token, number, what, seen)).await;
    }
}

in_many_orders! {
    async fn a_join_returns_the_first_failure_or_all_values() {
        let since = Since::now("group: task");
        let seen = Arc::new(Seen::default());
        let token = CancellationToken::new();
        let limit = 1 + below(3);
        let group = Group::new(&token).limit(limit);
        let is_cancelled = below(2) == 0;
        let acts = if is_cancelled { FAILING } else { &FAILING[..FAILING.len() - 1] };
        let feeders: Vec<_> = (0..2)
            .map(|n| tokio::spawn(feed(group.handle(), 100 * n, acts, seen.clone())))
            .collect();
        if is_cancelled {
            let token = token.clone();
            tokio::spawn(async move {
                some_turns().await;
                token.cancel();
            });
        }
        some_turns().await;
        let joined = group.join().await;
        seen.all_over();
        let done = since.done();
        assert!(seen.peak() <= limit.min(2), "{} at once", seen.peak());
        match joined {
            Ok(values) => {
                assert_eq!(values.len(), seen.started(), "{values:?}");
                for feeder in [0, 1] {
                    let own = values.iter().filter(|value| **value / 100 == feeder);
                    assert!(own.is_sorted(), "{values:?}");
                }
                assert_eq!(done.ended(Outcome::Ok), values.len() as u64);
            }
            Err(Failed::Own { number, after_cancel }) => {
                assert!(is_cancelled || !after_cancel, "{number} was not the first to fail");
                assert!(done.ended(Outcome::Error) > 0, "{done:?}");
            }
            Err(Failed::Task(TaskError::Panicked(_))) => {
                assert!(done.ended(Outcome::Panicked) > 0, "{done:?}");
            }
            Err(error) => assert!(is_cancelled, "{error:?}"),
        }
        for feeder in feeders {
            feeder.await.unwrap();
        }
        since.all_ended();
        every_permit_is_back(2, |seen| task(CancellationToken::new(), 0, Act::NEVER, seen)).await;
    }
}

in_many_orders! {
    async fn a_join_waits_for_siblings_that_tasks_spawn() {
        let (parents, children) = (Since::now("group: parent"), Since::now("group: task"));
        let seen = Arc::new(Seen::default());
        let group = Group::new(&CancellationToken::new());
        for number in [10, 20] {
            let (handle, seen) = (group.handle(), seen.clone());
            group.spawn(move |token| parent(token, handle, number, seen)).await;
        }
        let values = group.join().await.unwrap();
        seen.all_over();
        for parent in [10, 20] {
            let family = values.iter().filter(|value| **value / 10 == parent / 10);
            let family: Vec<_> = family.copied().collect();
            assert_eq!(family, [parent, parent + 1, parent + 2], "{values:?}");
        }
        assert_eq!(parents.all_ended().ended(Outcome::Ok), 2);
        assert_eq!(children.all_ended().ended(Outcome::Ok), 4);
    }
}

in_many_orders! {
    async fn a_group_that_is_dropped_at_any_moment_leaks_nothing() {
        let (since, since_held) = (Since::now("group: task"), Since::now("group: held"));
        let seen = Arc::new(Seen::default());
        let token = CancellationToken::new();
        let group = Group::new(&token).limit(2 + below(2));
        let held_seen = seen.clone();
        group.spawn(move |token| held(token, held_seen)).await;
        let feeder = tokio::spawn(feed(group.handle(), 0, FAILING, seen.clone()));
        if below(2) == 0 {
            some_turns().await;
            drop(group);
        } else {
            let joining = tokio::spawn(group.join());
            some_turns().await;
            joining.abort();
        }
        feeder.await.unwrap();
        all_ended().await;
        seen.all_over();
        since.all_ended();
        since_held.all_ended();
        every_permit_is_back(2, |seen| task(CancellationToken::new(), 0, Act::NEVER, seen)).await;
    }
}

in_many_orders! {
    async fn the_first_exit_stops_the_rest() {
        let (since, since_held) = (Since::now("group: task"), Since::now("group: held"));
        let seen = Arc::new(Seen::default());
        let group = Group::new(&CancellationToken::new()).until_first_exit();
        let held_seen = [seen.clone(), seen.clone()];
        for seen in held_seen {
            group.spawn(move |token| held(token, seen)).await;
        }
        let (what, of_task) = (any(&[Act::ok(0), Act::ok(2), Act::error(1)]), seen.clone());
        group.spawn(move |token| task(token, 7, what, of_task)).await;
        let joined = group.join().await;
        seen.all_over();
        match what {
            Act { end: End::Ok, .. } => assert_eq!(joined.unwrap(), [7]),
            _ => assert!(matches!(joined, Err(Failed::Own { number: 7, after_cancel: false }))),
        }
        since.all_ended();
        assert_eq!(since_held.all_ended().ended(Outcome::Cancelled), 2);
    }
}

in_many_orders! {
    async fn a_spawn_at_the_end_of_the_join_does_not_fail_the_join() {
        let seen = Arc::new(Seen::default());
        let group = Group::new(&CancellationToken::new());
        let (handle, of_task) = (group.handle(), seen.clone());
        tokio::spawn(async move {
            _ = handle.spawn(|token| task(token, 1, Act::ok(0), of_task)).await;
        });
        let values = group.join().await.unwrap();
        seen.all_over();
        assert_eq!(values.len(), seen.started());
    }
}

in_many_orders! {
    async fn a_blocking_closure_that_checks_its_token_ends_with_the_group() {
        let seen = Arc::new(Seen::default());
        let group = Group::new(&CancellationToken::new());
        let of_thread = seen.clone();
        let closure = move |token: CancellationToken| {
            let _running = of_thread.enter();
            while !token.is_cancelled() {
                shuttle::thread::yield_now();
            }
            Ok(0)
        };
        group.spawn_blocking("group: thread", closure).await;
        let of_task = seen.clone();
        group.spawn(move |token| task(token, 1, any(&[Act::error(0), Act::error(1)]), of_task)).await;
        let joined = group.join().await;
        seen.all_over();
        assert!(matches!(joined, Err(Failed::Own { number: 1, after_cancel: false })));
    }
}

in_many_orders! {
    async fn a_cancel_by_a_handle_that_is_gone_is_not_lost() {
        let group = Group::new(&CancellationToken::new());
        let handle = group.spawn(polls_its_token).await;
        tokio::spawn(async move { handle.cancel() });
        assert!(group.join().await.unwrap().len() <= 1, "it may never have started");
    }
}
