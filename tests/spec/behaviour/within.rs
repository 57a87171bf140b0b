//! Sections with a deadline, and the time that remains.

use std::{
    future::{Future, pending, poll_fn, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tokio_supervised::{
    CancellationToken, Cancelled, Cause, Group, Outcome, Pool, TaskError, is_cancelled, map,
    remaining, shield, supervised, task, within,
};

use testkit::{in_time, outcomes_of, poll_once, turn};

const SECOND: Duration = Duration::from_secs(1);

fn cause_of(error: &TaskError) -> Cause {
    match error {
        TaskError::Cancelled(cancelled) => cancelled.cause(),
        error => panic!("not cancelled: {error}"),
    }
}

#[supervised(name = "within: waits")]
async fn waits() -> Result<(), TaskError> {
    pending().await
}

#[supervised(name = "within: left")]
async fn left() -> Result<Option<Duration>, TaskError> {
    Ok(remaining())
}

#[tokio::test(start_paused = true)]
async fn a_section_that_ends_in_time_returns_its_value() {
    let token = CancellationToken::new();
    let value = within(&token, SECOND, async move |token| {
        drop(token);
        sleep(SECOND / 2).await;
        Ok::<_, TaskError>(7)
    });
    assert_eq!(in_time(value).await.unwrap(), 7);
    within(&token, SECOND, |_| async {}).await;
    assert!(!token.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn the_calls_inside_are_cancelled_at_the_deadline() {
    let token = CancellationToken::new();
    let begun = Instant::now();
    let error = within(&token, 3 * SECOND, async move |token| waits(&token).await).await;
    assert_eq!(begun.elapsed(), 3 * SECOND);
    let error = error.unwrap_err();
    assert_eq!(cause_of(&error), Cause::Deadline);
    assert_eq!(error.to_string(), "task `within: waits` was cancelled: its deadline has passed");
    assert!(is_cancelled(&error) && !token.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_reaches_groups_and_maps_inside() {
    let token = CancellationToken::new();
    let of_a_group = within(&token, SECOND, async move |token| {
        let group = Group::new(&token);
        group.spawn(waits).await;
        group.join().await
    });
    assert_eq!(cause_of(&of_a_group.await.unwrap_err()), Cause::Deadline);
    let of_a_map = within(&token, SECOND, async move |token| {
        map(&token, [(), ()], |token, ()| waits(token)).await
    });
    assert_eq!(cause_of(&of_a_map.await.unwrap_err()), Cause::Deadline);
}

#[tokio::test(start_paused = true)]
async fn of_two_deadlines_the_nearer_one_counts() {
    for (outer, inner) in [(2, 5), (5, 2)] {
        let token = CancellationToken::new();
        let begun = Instant::now();
        // The inner section does not use the token of the outer one.
        let another = token.clone();
        let error = within(&token, outer * SECOND, async move |_| {
            within(&another, inner * SECOND, async move |token| waits(&token).await).await
        });
        let error = error.await.unwrap_err();
        assert_eq!(begun.elapsed(), 2 * SECOND);
        assert_eq!(cause_of(&error), Cause::Deadline);
    }
}

#[tokio::test(start_paused = true)]
async fn a_section_past_its_deadline_is_dropped_after_the_grace() {
    #[supervised(grace = "4s", name = "within: ignores")]
    async fn ignores(token: CancellationToken) -> Result<(), TaskError> {
        within(&token, SECOND, |_| pending()).await
    }

    for (grace, waits) in [(None, 5), (Some(2), 3)] {
        let begun = Instant::now();
        let call = ignores(CancellationToken::new());
        let error = match grace {
            Some(grace) => call.grace(grace * SECOND).await,
            None => call.await,
        };
        let error = error.unwrap_err();
        assert_eq!(begun.elapsed(), waits * SECOND);
        assert_eq!(error.to_string(), "task `within: ignores` timed out after 1s");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.starts_with("the section is at ") && source.contains("within.rs:"));
    }
    assert_eq!(outcomes_of("within: ignores"), [(Outcome::Error, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_group_s_grace_bounds_that_of_a_section() {
    #[supervised(name = "within: grace of a group")]
    async fn ignores(token: CancellationToken) -> Result<(), TaskError> {
        within(&token, SECOND, |_| pending()).await
    }

    let group = Group::new(&CancellationToken::new()).grace(3 * SECOND);
    group.spawn(ignores).await;
    let begun = Instant::now();
    assert!(matches!(group.join().await, Err(TaskError::TimedOut(_))));
    assert_eq!(begun.elapsed(), 4 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn outside_of_all_runs_the_grace_is_twenty_seconds() {
    let begun = Instant::now();
    let token = CancellationToken::new();
    let error = within(&token, SECOND, |_| pending::<Result<(), TaskError>>()).await.unwrap_err();
    assert_eq!(begun.elapsed(), 21 * SECOND);
    assert_eq!(error.to_string(), "task `within` timed out after 1s");
}

#[tokio::test(start_paused = true)]
async fn a_section_that_ignores_its_token_is_dropped_after_the_grace() {
    #[supervised(grace = "4s", name = "within: other token")]
    async fn ignores(
        token: &CancellationToken,
        other: Arc<CancellationToken>,
    ) -> Result<(), TaskError> {
        assert!(!token.is_cancelled());
        within(&other, 60 * SECOND, |_| pending()).await
    }

    let other = Arc::new(CancellationToken::new());
    let fires = async {
        sleep(SECOND).await;
        other.cancel();
    };
    let (token, begun) = (CancellationToken::new(), Instant::now());
    let (ended, ()) = tokio::join!(ignores(&token, other.clone()), fires);
    assert_eq!(cause_of(&ended.unwrap_err()), Cause::Token);
    assert_eq!(begun.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_section_may_save_what_it_has_after_its_deadline() {
    let token = CancellationToken::new();
    let begun = Instant::now();
    let saved = within(&token, SECOND, async move |token| {
        token.cancelled().await;
        sleep(SECOND).await;
        Ok::<_, TaskError>("saved")
    });
    assert_eq!(saved.await.unwrap(), "saved");
    assert_eq!(begun.elapsed(), 2 * SECOND);
}

#[tokio::test]
async fn a_limit_of_zero_fires_before_the_first_poll() {
    let token = CancellationToken::new();
    let had_fired = within(&token, Duration::ZERO, async |token: CancellationToken| {
        Ok::<_, TaskError>(token.is_cancelled())
    });
    assert!(had_fired.await.unwrap());
    let error = within(&token, Duration::ZERO, async move |token| waits(&token).await).await;
    assert_eq!(cause_of(&error.unwrap_err()), Cause::Deadline);
    let value = within(&token, Duration::ZERO, |_| ready(Ok::<_, TaskError>(1))).await;
    assert_eq!(value.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unbounded_limit_never_fires() {
    let token = CancellationToken::new();
    let value = within(&token, Duration::MAX, async move |_| {
        sleep(100_000 * SECOND).await;
        Ok::<_, TaskError>(remaining())
    });
    assert!(value.await.unwrap().is_none_or(|left| left > 1_000_000 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_pending_shield_delays_the_drop_of_a_section() {
    #[supervised(grace = "1s", name = "within: shield")]
    async fn commits(token: CancellationToken, done: Arc<AtomicBool>) -> Result<(), TaskError> {
        within(&token, SECOND, async move |_| {
            shield(60 * SECOND, |_| async {
                sleep(10 * SECOND).await;
                done.store(true, SeqCst);
            })
            .await;
            shield(60 * SECOND, |_| pending::<()>()).await;
            Ok(())
        })
        .await
    }

    let (done, begun) = (Arc::new(AtomicBool::new(false)), Instant::now());
    let error = commits(CancellationToken::new(), done.clone()).await.unwrap_err();
    assert!(matches!(error, TaskError::TimedOut(_)), "{error}");
    assert!(done.load(SeqCst), "the shield ends first, and no other one starts");
    assert_eq!(begun.elapsed(), 10 * SECOND);
}

#[tokio::test]
async fn a_dropped_section_is_dropped_at_once() {
    let held = Arc::new(());
    let token = CancellationToken::new();
    let section = held.clone();
    let mut call = Box::pin(within(&token, SECOND, async move |_| {
        let _section = section;
        pending::<()>().await;
    }));
    assert!(poll_once(call.as_mut()).is_pending());
    drop(call);
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test(start_paused = true)]
async fn what_remains_is_that_of_the_nearest_deadline() {
    #[supervised(timeout = "10s", name = "within: remaining")]
    async fn all(token: &CancellationToken) -> Result<Vec<Option<Duration>>, TaskError> {
        let mut seen = vec![remaining()];
        sleep(2 * SECOND).await;
        seen.push(remaining());
        seen.push(left(token).await?);
        seen.push(left(token).timeout(SECOND).await?);
        seen.push(within(token, 3 * SECOND, async move |token| left(&token).await).await?);
        seen.push(within(token, 60 * SECOND, async move |token| left(&token).await).await?);
        seen.push(shield(30 * SECOND, |_| async { remaining() }).await);
        let group = Group::new(token);
        group.spawn(left).await;
        seen.append(&mut group.join().await?);
        seen.append(&mut map(token, [()], |token, ()| left(token)).await?);
        Ok(seen)
    }

    assert_eq!(remaining(), None);
    let seconds = |left: Option<Duration>| left.map(|left| left.as_secs());
    let seen = all(&CancellationToken::new()).await.unwrap().into_iter().map(seconds);
    let seen: Vec<_> = seen.collect();
    assert_eq!(seen, [10, 8, 8, 1, 3, 8, 30, 8, 8].map(Some));
    assert_eq!(remaining(), None);
    let call = all(&CancellationToken::new()).timeout(20 * SECOND).await.unwrap();
    assert_eq!(seconds(call[0]), Some(20), "that of the call counts");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_does_not_reach_a_pool_s_tasks() {
    type Seen = Arc<Mutex<Option<Option<Duration>>>>;
    #[supervised(name = "within: in a pool")]
    async fn in_a_pool(seen: Seen) -> Result<(), TaskError> {
        *seen.lock().unwrap() = Some(remaining());
        Ok(())
    }
    #[supervised(timeout = "10s", name = "within: spawns")]
    async fn spawns(pool: &Pool, seen: Seen) -> Result<(), TaskError> {
        pool.spawn(|token| in_a_pool(token, seen)).await?;
        turn().await;
        Ok(())
    }

    let (pool, seen) = (Pool::new(1), Seen::default());
    spawns(&CancellationToken::new(), &pool, seen.clone()).await.unwrap();
    pool.drain(SECOND).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), Some(None));
}

#[tokio::test(start_paused = true)]
async fn past_its_deadline_a_section_has_no_time_left() {
    let token = CancellationToken::new();
    let left = within(&token, SECOND, async move |token| {
        token.cancelled().await;
        sleep(SECOND).await;
        Ok::<_, TaskError>(remaining())
    });
    assert_eq!(left.await.unwrap(), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_run_s_own_timeout_drops_a_section_with_a_longer_deadline() {
    #[supervised(timeout = "2s", name = "within: own timeout")]
    async fn call(token: &CancellationToken) -> Result<(), TaskError> {
        within(token, 5 * SECOND, async move |token| waits(&token).await).await
    }

    let error = call(&CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "task `within: own timeout` timed out after 2s");
}

#[tokio::test(start_paused = true)]
async fn a_deep_run_knows_its_deadline() {
    fn nested(token: CancellationToken, depth: u32) -> impl Future<Output = Option<Duration>> {
        let call = task!("within: deep", |token, depth| async move {
            if depth == 0 {
                return Ok::<_, TaskError>(remaining());
            }
            Ok(Box::pin(nested(token, depth - 1)).await)
        });
        let boxed: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(async move {
            call(token, depth).timeout((100 - u64::from(depth)) as u32 * SECOND).await.unwrap()
        });
        boxed
    }

    let left = nested(CancellationToken::new(), 40).await;
    assert_eq!(left, Some(60 * SECOND), "the outermost has the nearest one");
}

#[tokio::test]
async fn a_refused_spawn_converts_into_the_error_of_a_function() {
    #[supervised(name = "within: spawns into a closed pool")]
    async fn spawns(pool: &Pool) -> Result<(), TaskError> {
        pool.spawn(waits).await?;
        Ok(())
    }
    #[supervised(name = "within: spawns as io")]
    async fn spawns_io(pool: &Pool) -> std::io::Result<()> {
        pool.try_spawn(waits)?;
        pool.spawn(waits).await?;
        Ok(())
    }

    let (token, pool) = (CancellationToken::new(), Pool::new(1));
    pool.drain(SECOND).await.unwrap();
    let error = spawns(&token, &pool).await.unwrap_err();
    assert!(matches!(error, TaskError::Rejected(_)));
    assert_eq!(
        error.to_string(),
        "task `waits` was rejected: the pool is closed and accepts no more tasks"
    );
    let error = spawns_io(&token, &pool).await.unwrap_err();
    assert_eq!(error.to_string(), "the pool is closed and accepts no more tasks");

    let group = Group::<(), TaskError>::new(&token);
    let handle = group.handle();
    group.join().await.unwrap();
    let error: TaskError = handle.spawn(waits).await.unwrap_err().into();
    assert_eq!(error.to_string(), "the group was joined and accepts no more tasks");
    token.cancel();
    let group = Group::<(), TaskError>::new(&token);
    let error = group.handle().spawn(waits).await.unwrap_err();
    assert!(is_cancelled(&error));
    let error: TaskError = error.into();
    let TaskError::Cancelled(cancelled) = error else { panic!("{error}") };
    let cancelled: Cancelled = cancelled;
    assert_eq!(cancelled.task(), "waits");
    drop(group);
}

#[tokio::test(start_paused = true)]
async fn a_token_fired_in_the_first_poll_is_seen_by_the_section() {
    let (token, mut polls) = (CancellationToken::new(), 0);
    let outer = token.clone();
    // It keeps no waker.
    let section = within(&token, SECOND, |token| {
        poll_fn(move |_| {
            polls += 1;
            outer.cancel();
            let fired = token.is_cancelled();
            if polls == 1 { Poll::Pending } else { Poll::Ready(Ok::<_, TaskError>(fired)) }
        })
    });
    assert!(in_time(section).await.unwrap());
}

#[tokio::test]
async fn a_first_poll_longer_than_the_limit_is_followed_by_another() {
    let (token, mut polls) = (CancellationToken::new(), 0);
    let section = within(&token, Duration::from_millis(5), |token| {
        poll_fn(move |_| {
            polls += 1;
            std::thread::sleep(Duration::from_millis(20));
            if token.is_cancelled() {
                Poll::Ready(Ok::<_, TaskError>(polls))
            } else {
                Poll::Pending
            }
        })
    });
    assert_eq!(in_time(section).await.unwrap(), 2);
    assert!(!token.is_cancelled());
}

#[test]
fn a_section_needs_a_timer_only_if_it_is_pending() {
    let token = CancellationToken::new();
    let section = within(&token, SECOND, |_| ready(Ok::<_, TaskError>(7)));
    assert!(matches!(poll_once(section), Poll::Ready(Ok(7))));
}
