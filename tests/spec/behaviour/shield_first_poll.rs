//! The first poll of a section: what only a pending one needs is made after it, and nobody can tell.

use std::{
    future::{pending, poll_fn, ready},
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::Builder;
use tokio_supervised::{
    CancellationToken, Cause, Group, Outcome, TaskError, remaining, shield, supervised,
};

use testkit::{in_time, poll_once};

const SECOND: Duration = Duration::from_secs(1);

#[supervised(name = "first poll: idle")]
async fn idle() -> Result<(), TaskError> {
    pending().await
}

fn cause_of(result: Result<(), TaskError>) -> Cause {
    match result {
        Err(TaskError::Cancelled(cancelled)) => cancelled.cause(),
        other => panic!("it was not cancelled: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn code_in_the_first_poll_sees_the_limit() {
    #[supervised(name = "first poll: limit", timeout = "20s")]
    async fn limits() -> Result<[Option<Duration>; 4], TaskError> {
        let [nested, first, later] = shield(10 * SECOND, |_| async {
            let nested = shield(5 * SECOND, |_| ready(remaining())).await;
            let inside = shield(5 * SECOND, |_| async { remaining() }).await;
            tokio::time::sleep(2 * SECOND).await;
            [nested, inside, remaining()]
        })
        .await;
        Ok([nested, first, later, shield(Duration::MAX, |_| async { remaining() }).await])
    }

    let seen = in_time(limits(&CancellationToken::new())).await.unwrap();
    let seconds = |seconds| Some(seconds * SECOND);
    // The argument of `ready` is evaluated around the section.
    assert_eq!(seen, [seconds(10), seconds(5), seconds(8), None]);
}

#[tokio::test(start_paused = true)]
async fn a_scope_made_in_the_first_poll_has_the_causes_of_the_shields() {
    let causes = shield(SECOND, |outer| async move {
        let inner = outer.clone();
        let nested = shield(5 * SECOND, |_| async move {
            // Made in the first poll of both.
            let group = Group::new(&inner);
            group.spawn(idle).await;
            [cause_of(idle(&inner).await), cause_of(group.join().await.map(drop))]
        });
        let group = Group::new(&outer);
        group.spawn(idle).await;
        let nested = nested.await;
        (nested, cause_of(group.join().await.map(drop)), cause_of(idle(&outer).await))
    });
    let limit = Cause::ShieldLimit;
    assert_eq!(in_time(causes).await, ([limit; 2], limit, limit));
}

#[tokio::test(start_paused = true)]
async fn a_run_cancelled_in_the_first_poll_waits_for_the_section() {
    #[supervised(name = "first poll: cancels itself", on_cancel = "drop")]
    async fn cancels_itself(outer: &CancellationToken) -> Result<(), TaskError> {
        shield(10 * SECOND, |_| async {
            outer.cancel();
            tokio::time::sleep(SECOND).await;
        })
        .await;
        pending().await
    }

    let token = CancellationToken::new();
    let started = tokio::time::Instant::now();
    let error = in_time(cancels_itself(&token)).await.unwrap_err();
    assert_eq!((started.elapsed(), error.outcome()), (SECOND, Outcome::Cancelled));
}

#[tokio::test]
async fn a_limit_of_zero_fires_before_the_section_starts() {
    let fired = in_time(shield(Duration::ZERO, |token| async move { token.is_cancelled() })).await;
    assert!(fired);
}

#[tokio::test]
async fn the_limit_begins_with_the_first_poll() {
    let started = Instant::now();
    shield(SECOND, |token| async move {
        thread::sleep(SECOND * 4 / 5);
        token.cancelled().await;
    })
    .await;
    let elapsed = started.elapsed();
    assert!(elapsed >= SECOND && elapsed < SECOND * 8 / 5, "{elapsed:?}");
}

#[tokio::test]
async fn a_first_poll_longer_than_the_limit_is_followed_by_another() {
    let mut polls = 0;
    // Polled again only because the limit has passed: it keeps no waker.
    let section = shield(Duration::from_millis(5), |token| {
        poll_fn(move |_| {
            polls += 1;
            thread::sleep(Duration::from_millis(20));
            if token.is_cancelled() { Poll::Ready(polls) } else { Poll::Pending }
        })
    });
    assert_eq!(in_time(section).await, 2);
}

#[test]
fn a_section_needs_a_timer_only_if_it_is_pending() {
    #[supervised(name = "first poll: no timer")]
    async fn no_timer() -> Result<u32, TaskError> {
        let seven = shield(SECOND, |_| ready(7)).await;
        shield(SECOND, |_| pending::<()>()).await;
        Ok(seven)
    }

    assert!(poll_once(shield(SECOND, |_| ready(()))).is_ready(), "outside of any runtime");
    let runtime = Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(no_timer(&CancellationToken::new())).unwrap_err();
    let TaskError::Panicked(panic) = error else { panic!("not a panic: {error}") };
    assert!(panic.message().contains("timers are disabled"), "{}", panic.message());
}
