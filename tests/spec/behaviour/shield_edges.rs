//! Edge cases of sections: in sequence, forgotten, and panicking in their drop.

use std::{future::pending, time::Duration};

use tokio::time::Instant;
use tokio_supervised::{CancellationToken, Outcome, TaskError, shield, supervised};

use testkit::{in_time, outcomes_of, poll_once, turn};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_starts_no_further_section() {
    /// Never pending outside of a section.
    #[supervised(name = "shield: one after another")]
    async fn flushes() -> Result<(), TaskError> {
        loop {
            shield(10 * SECOND, |_| tokio::time::sleep(SECOND)).await;
        }
    }

    let token = CancellationToken::new();
    let started = Instant::now();
    let run = tokio::spawn(flushes(token.clone()));
    turn().await;
    token.cancel();
    in_time(run).await.unwrap().unwrap_err();
    assert_eq!(started.elapsed(), SECOND, "right after the section that was pending");
    assert_eq!(outcomes_of("shield: one after another"), [(Outcome::Cancelled, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_not_delayed_by_a_further_section() {
    #[supervised(name = "shield: timeout between", timeout = "1500ms")]
    async fn flushes() -> Result<(), TaskError> {
        loop {
            shield(10 * SECOND, |_| tokio::time::sleep(SECOND)).await;
        }
    }

    let started = Instant::now();
    let error = in_time(flushes(&CancellationToken::new())).await.unwrap_err();
    assert_eq!((started.elapsed(), error.outcome()), (2 * SECOND, Outcome::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn a_section_started_inside_another_is_part_of_it() {
    #[supervised(name = "shield: part")]
    async fn nested(
        sender: tokio::sync::mpsc::UnboundedSender<&'static str>,
    ) -> Result<(), TaskError> {
        shield(10 * SECOND, |_| async {
            tokio::time::sleep(SECOND).await;
            shield(SECOND * 5, |_| tokio::time::sleep(SECOND)).await;
            sender.send("both ended").unwrap();
        })
        .await;
        pending().await
    }

    let token = CancellationToken::new();
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let run = tokio::spawn(nested(token.clone(), sender));
    turn().await;
    token.cancel();
    in_time(run).await.unwrap().unwrap_err();
    assert_eq!(receiver.recv().await, Some("both ended"));
}

#[tokio::test(start_paused = true)]
async fn an_uncancelled_run_in_a_cancelled_one_starts_sections() {
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
    let started = Instant::now();
    let run = tokio::spawn(outer(token.clone()));
    turn().await;
    token.cancel();
    in_time(run).await.unwrap().unwrap();
    assert_eq!(started.elapsed(), 3 * SECOND);
    assert_eq!(outcomes_of("shield: inner of two"), [(Outcome::Ok, 1)]);
}

#[tokio::test(start_paused = true)]
async fn an_ended_section_does_not_extend_a_forgotten_shorter_one() {
    #[supervised(name = "shield: long and short")]
    async fn long_and_short() -> Result<(), TaskError> {
        let mut forgotten = Box::pin(shield(SECOND, |_| pending::<()>()));
        assert!(poll_once(forgotten.as_mut()).is_pending());
        shield(50 * SECOND, |_| turn()).await;
        pending().await
    }

    let token = CancellationToken::new();
    let started = Instant::now();
    let run = tokio::spawn(long_and_short(token.clone()));
    for _ in 0..5 {
        turn().await;
    }
    token.cancel();
    in_time(run).await.unwrap().unwrap_err();
    assert_eq!(started.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_section_that_panics_in_its_drop_ends_its_protection() {
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
    let started = Instant::now();
    let run = tokio::spawn(outer(token.clone()));
    turn().await;
    token.cancel();
    in_time(run).await.unwrap().unwrap_err();
    assert_eq!(started.elapsed(), Duration::ZERO);
}
