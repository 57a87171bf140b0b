//! Progress on a message.

use std::time::Duration;

use tokio_supervised::{CancellationToken, supervised};
use tokio_supervised_worker::{Class, MemoryQueue};

use crate::rig::{Act, Desk, beside};

const SECOND: Duration = Duration::from_secs(1);

/// Runs one message through a queue with a lease of 3 s.
async fn deliveries(desk: Desk, every: Duration) -> u64 {
    let (queue, token) = (MemoryQueue::with_lease(3 * SECOND), CancellationToken::new());
    queue.push("1", "1".to_owned());
    let stop = async {
        queue.emptied().await;
        token.cancel();
    };
    let worker = desk.worker(queue.clone()).progress(every);
    // A delivery that has lost its lease to another one cannot be returned.
    _ = beside(worker.run(&token), stop).await;
    queue.deliveries()
}

#[supervised::test(start_paused = true)]
async fn a_message_in_work_is_not_delivered_again() {
    let desk = || Desk::default().acts("1", [Act::Work(60 * SECOND)]);
    assert_eq!(deliveries(desk(), SECOND).await, 1);
    // Without a report it is.
    assert!(deliveries(desk(), 100 * SECOND).await > 1);
}

#[supervised::test(start_paused = true)]
async fn progress_continues_between_attempts() {
    let mut acts = vec![Act::Fail(Class::External); 100];
    acts.push(Act::Work(Duration::ZERO));
    // Each attempt and each wait is shorter than the interval.
    let desk = Desk::default().acts("1", acts);
    let (queue, token) = (MemoryQueue::with_lease(3 * SECOND), CancellationToken::new());
    queue.push("1", "1".to_owned());
    let stop = async {
        queue.emptied().await;
        token.cancel();
    };
    let worker = desk.worker(queue.clone()).progress(SECOND).retry(SECOND / 2..SECOND / 2);
    beside(worker.run(&token), stop).await.0.unwrap();
    assert_eq!((queue.deliveries(), desk.started("1")), (1, 101));
}

#[supervised::test(start_paused = true)]
async fn a_message_that_waits_for_its_key_is_not_delivered_again() {
    let desk = Desk::default().acts("first", [Act::Work(60 * SECOND)]);
    let (queue, token) = (MemoryQueue::with_lease(3 * SECOND), CancellationToken::new());
    queue.push_keyed("first", "key", "first".to_owned());
    queue.push_keyed("second", "key", "second".to_owned());
    let stop = async {
        queue.emptied().await;
        token.cancel();
    };
    let worker = desk.worker(queue.clone()).progress(SECOND).ordered();
    beside(worker.run(&token), stop).await.0.unwrap();
    assert_eq!(queue.deliveries(), 2);
}
