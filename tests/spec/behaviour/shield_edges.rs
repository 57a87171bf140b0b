//! Sections at the edges: one after another, forgotten, and panicking where they are dropped.

use std::{future::pending, time::Duration};

use tokio::time::Instant;
use tokio_supervised::{CancellationToken, Outcome, TaskError, shield, supervised};

use testkit::{in_time, outcomes_of, poll_once, turn};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_run_that_is_to_end_begins_no_further_section() {
    /// Never pending outside of a section.
    #[supervised(name = "shield: one after another")]
    async fn flushes() -> Result<(), TaskError> {
        loop {
            shield(10 * SECOND, |_| tokio::time::sleep(SECOND)).await;
        }
    }

    let token = CancellationToken::new();
    let begun = Instant::now();
    let run = tokio::spawn(flushes(token.clone()));
    turn().await;
    token.cancel();
    in_time(run).await.unwrap().unwrap_err();
    assert_eq!(begun.elapsed(), SECOND, "right after the section that was pending");
    assert_eq!(outcomes_of("shield: one after another"), [(Outcome::Cancelled, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_not_put_off_by_a_further_section() {
    #[supervised(name = "shield: timeout between", timeout = "1500ms")]
    async fn flushes() -> Result<(), TaskError> {
        loop {
            shield(10 * SECOND, |_| tokio::time::sleep(SECOND)).await;
        }
    }

    let begun = Instant::now();
    let error = in_time(flushes(&CancellationToken::new())).await.unwrap_err();
    assert_eq!((begun.elapsed(), error.outcome()), (2 * SECOND, Outcome::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn a_section_begun_inside_of_one_is_a_part_of_it() {
    #[supervised(name = "shield: part")]
    async fn nested(
        told: tokio::sync::mpsc::UnboundedSender<&'static str>,
    ) -> Result<(), TaskError> {
        shield(10 * SECOND, |_| async {
            tokio::time::sleep(SECOND).await;
            shield(SECOND * 5, |_| tokio::time::sleep(SECOND)).await;
            told.send("both ended").unwrap();
        })
        .await;
        pending().await
    }

    let token = CancellationToken::new();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let run = tokio::spawn(nested(token.clone(), told));
    turn().await;
    token.cancel();
    in_time(run).await.unwrap().unwrap_err();
    assert_eq!(heard.recv().await, Some("both ended"));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_its_owner_has_not_told_to_stop_is_free_to_begin_sections_in_a_run_that_was() {
    /// Its token never fires; it is awaited by a run whose token does.
    #[supervised(name = "shield: outer of two")]
    async fn outer() -> Result<(), TaskError> {
        let inner = CancellationToken::new();
        shield(10 * SECOND, |_| inner_of_two(&inner)).await
    }
    #[supervised(name = "shield: inner of two")]
    async fn inner_of_two() -> Result<(), TaskError> {
        for _ in 0..3 {
            shield(10 * SECOND, |_| tokio::time::sleep(SECOND)).await;
        }
        Ok(())
    }

    let token = CancellationToken::new();
    let begun = Instant::now();
    let run = tokio::spawn(outer(token.clone()));
    turn().await;
    token.cancel();
    in_time(run).await.unwrap().unwrap();
    assert_eq!(begun.elapsed(), 3 * SECOND);
    assert_eq!(outcomes_of("shield: inner of two"), [(Outcome::Ok, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_long_section_that_has_ended_does_not_lend_its_limit_to_a_forgotten_short_one() {
    #[supervised(name = "shield: long and short")]
    async fn long_and_short() -> Result<(), TaskError> {
        let mut forgotten = Box::pin(shield(SECOND, |_| pending::<()>()));
        assert!(poll_once(forgotten.as_mut()).is_pending());
        shield(50 * SECOND, |_| turn()).await;
        pending().await
    }

    let token = CancellationToken::new();
    let begun = Instant::now();
    let run = tokio::spawn(long_and_short(token.clone()));
    for _ in 0..5 {
        turn().await;
    }
    token.cancel();
    in_time(run).await.unwrap().unwrap_err();
    assert_eq!(begun.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_section_that_panics_when_it_is_dropped_protects_nobody_any_more() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[supervised(name = "shield: bomb inside")]
    async fn inner() -> Result<(), TaskError> {
        let section = shield(50 * SECOND, |_| async {
            let _bomb = Bomb;
            pending::<()>().await;
        });
        _ = poll_once(section);
        Ok(())
    }
    #[supervised(name = "shield: bomb around")]
    async fn outer() -> Result<(), TaskError> {
        let panicked = inner(&CancellationToken::new()).await.unwrap_err();
        assert_eq!(panicked.outcome(), Outcome::Panicked);
        pending().await
    }

    let token = CancellationToken::new();
    let begun = Instant::now();
    let run = tokio::spawn(outer(token.clone()));
    turn().await;
    token.cancel();
    in_time(run).await.unwrap().unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}
