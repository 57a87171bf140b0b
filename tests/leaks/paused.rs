//! The search for leaks does not advance paused time.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_supervised::{LeakCheck, TaskError, supervised, task};

use crate::support::{kept_pool, wait_for_ever};

#[supervised::test(start_paused = true)]
async fn time_is_paused() {
    let started = (Instant::now(), std::time::Instant::now());
    sleep(Duration::from_secs(3_600)).await;
    assert!(started.0.elapsed() >= Duration::from_secs(3_600));
    assert!(started.1.elapsed() < Duration::from_secs(60));
}

#[supervised::test(start_paused = true)]
#[should_panic(expected = "leaked 1 task:\n\n  sleeps (task ")]
async fn the_check_does_not_fire_timers_of_leaked_tasks() {
    let sleeps = task!("sleeps", |_| -> Result<(), TaskError> {
        sleep(Duration::from_millis(1)).await;
        Ok(())
    });
    kept_pool().spawn(sleeps).await.unwrap();
}

#[supervised::test(start_paused = true, leaks = "allow")]
async fn a_check_does_not_move_the_clock() {
    let check = LeakCheck::new();
    kept_pool().spawn(wait_for_ever).await.unwrap();
    let pool = kept_pool();
    pool.spawn(task!("sleeps", |_| -> Result<(), TaskError> {
        sleep(Duration::from_secs(1)).await;
        Ok(())
    }))
    .await
    .unwrap();
    let started = Instant::now();
    let leaks = check.verify().await.unwrap_err();
    assert_eq!(leaks.tasks().len(), 2);
    assert_eq!(started.elapsed(), Duration::ZERO);
}
