//! A queue that is away, stuck or slow.

use std::{convert::Infallible, future::pending, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_supervised::{CancellationToken, supervised};
use tokio_supervised_worker::{MemoryDelivery, MemoryQueue, Queue, Settings};

use crate::rig::{Act, Desk, beside, queue};

const SECOND: Duration = Duration::from_secs(1);

#[supervised::test(start_paused = true)]
async fn a_worker_waits_for_a_queue_that_is_away_at_the_start() {
    let (queue, token, desk) = (queue(["1"]), CancellationToken::new(), Desk::default());
    queue.set_away(true);
    let later = async {
        sleep(600 * SECOND).await;
        assert_eq!(desk.started("1"), 0);
        queue.set_away(false);
        queue.emptied().await;
        token.cancel();
    };
    let start = Instant::now();
    beside(desk.worker(queue.clone()).run(&token), later).await.0.unwrap();
    // Within the longest wait between two attempts.
    assert!(start.elapsed() < 607 * SECOND, "{:?}", start.elapsed());
}

#[supervised::test(start_paused = true)]
async fn a_lost_connection_is_replaced_and_ends_no_message() {
    let (queue, token) = (queue(["1"]), CancellationToken::new());
    let desk = Desk::default().acts("1", [Act::Work(20 * SECOND)]);
    let lost = async {
        sleep(SECOND).await;
        queue.set_away(true);
        sleep(5 * SECOND).await;
        queue.set_away(false);
        queue.push("2", "2".to_owned());
        queue.emptied().await;
        token.cancel();
    };
    beside(desk.worker(queue.clone()).run(&token), lost).await.0.unwrap();
    assert_eq!((desk.started("1"), desk.started("2"), queue.deliveries()), (1, 1, 2));
}

#[supervised::test(start_paused = true)]
async fn the_token_ends_a_wait_for_a_queue_that_is_away() {
    let (queue, token, desk) = (queue(["1"]), CancellationToken::new(), Desk::default());
    queue.set_away(true);
    let stop = async {
        sleep(600 * SECOND).await;
        token.cancel();
        Instant::now()
    };
    let (ran, stopped) = beside(desk.worker(queue.clone()).run(&token), stop).await;
    ran.unwrap();
    assert_eq!(stopped.elapsed(), Duration::ZERO);
}

/// A queue whose pulls never return.
struct Stuck;

impl Queue for Stuck {
    type Delivery = MemoryDelivery<String>;
    type Error = Infallible;

    fn system(&self) -> &'static str {
        "stuck"
    }

    fn destination(&self) -> &str {
        "stuck"
    }

    async fn connect(&mut self, _settings: &Settings) -> Result<(), Infallible> {
        Ok(())
    }

    async fn pull(&mut self, _room: usize) -> Result<Vec<Self::Delivery>, Infallible> {
        pending().await
    }

    async fn close(&mut self) -> Result<(), Infallible> {
        pending().await
    }
}

#[supervised::test(start_paused = true)]
async fn a_stuck_queue_does_not_hold_the_drain() {
    let (token, desk) = (CancellationToken::new(), Desk::default());
    let stop = async {
        sleep(SECOND).await;
        token.cancel();
        Instant::now()
    };
    let (ran, stopped) = beside(desk.worker(Stuck).run(&token), stop).await;
    let error = ran.unwrap_err();
    assert_eq!(error.to_string(), "the queue could not be closed in order");
    assert!(stopped.elapsed() <= 14 * SECOND, "{:?}", stopped.elapsed());
}

/// A queue that returns more messages than were requested.
struct Generous(MemoryQueue<String>);

impl Queue for Generous {
    type Delivery = MemoryDelivery<String>;
    type Error = tokio_supervised_worker::Disconnected;

    fn system(&self) -> &'static str {
        "memory"
    }

    fn destination(&self) -> &str {
        "generous"
    }

    async fn connect(&mut self, settings: &Settings) -> Result<(), Self::Error> {
        self.0.connect(settings).await
    }

    async fn pull(&mut self, room: usize) -> Result<Vec<Self::Delivery>, Self::Error> {
        self.0.pull(10 * room).await
    }
}

#[supervised::test(start_paused = true)]
async fn messages_beyond_the_room_wait_for_a_slot() {
    let (queue, token, desk) = (MemoryQueue::new(), CancellationToken::new(), Desk::default());
    for number in 0..50 {
        queue.push(number.to_string(), number.to_string());
    }
    let stop = async {
        queue.emptied().await;
        token.cancel();
    };
    beside(desk.worker(Generous(queue.clone())).slots(2).run(&token), stop).await.0.unwrap();
    assert_eq!((desk.most(), queue.deliveries()), (2, 50));
}

#[supervised::test(start_paused = true)]
async fn messages_beyond_the_room_do_not_hold_the_drain() {
    let (queue, token) = (queue(["1", "2"]), CancellationToken::new());
    let desk = Desk::default().acts("1", [Act::Work(600 * SECOND)]);
    let stop = async {
        sleep(SECOND).await;
        token.cancel();
        Instant::now()
    };
    let worker = desk.worker(Generous(queue.clone())).slots(1);
    let (ran, stopped) = beside(worker.run(&token), stop).await;
    ran.unwrap();
    assert!(stopped.elapsed() <= 20 * SECOND, "{:?}", stopped.elapsed());
    // Both are in the queue again, and due at once.
    assert_eq!((desk.started("2"), queue.clone().pull(2).await.unwrap().len()), (0, 2));
}
