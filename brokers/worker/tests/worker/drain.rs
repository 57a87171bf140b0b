//! The end of a worker.

use std::{error::Error as _, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_supervised::{CancellationToken, TaskError, is_cancelled, supervised, task};
use tokio_supervised_worker::{
    Delivery, MemoryDelivery, MemoryQueue, Queue, SettingError, Settings, Worker, WorkerError,
};

use crate::rig::{Act, Desk, Event, beside, queue};

const SECOND: Duration = Duration::from_secs(1);

#[supervised::test(start_paused = true)]
async fn a_message_that_ends_during_the_drain_is_settled() {
    let (queue, token) = (queue(["1"]), CancellationToken::new());
    let desk = Desk::default().acts("1", [Act::Work(8 * SECOND)]);
    let stop = async {
        sleep(SECOND).await;
        token.cancel();
    };
    beside(desk.worker(queue.clone()).run(&token), stop).await.0.unwrap();
    assert_eq!(desk.events(), [Event::Start("1".into()), Event::End("1".into())]);
    assert!(queue.is_empty());
}

#[supervised::test(start_paused = true)]
async fn a_message_that_is_cancelled_returns_to_the_queue() {
    let (queue, token) = (queue(["1"]), CancellationToken::new());
    let desk = Desk::default().acts("1", [Act::Work(600 * SECOND)]);
    let stop = async {
        sleep(SECOND).await;
        token.cancel();
    };
    let worker = desk.worker(queue.clone()).drain(10 * SECOND);
    beside(worker.run(&token), stop).await.0.unwrap();
    // Although the failure is a permanent one.
    assert_eq!(desk.events(), [Event::Start("1".into()), Event::Cancelled("1".into())]);
    assert_eq!((queue.len(), queue.dead_letters().len()), (1, 0));
    // At once, not after its lease.
    let mut next = queue.clone();
    let start = Instant::now();
    let again = next.pull(1).await.unwrap();
    assert_eq!((again[0].delivered(), start.elapsed()), (2, Duration::ZERO));
}

#[supervised::test(start_paused = true)]
async fn no_message_is_pulled_after_the_token_has_fired() {
    let (queue, token) = (queue([]), CancellationToken::new());
    let desk = Desk::default();
    let late = async {
        sleep(SECOND / 2).await;
        token.cancel();
        sleep(5 * SECOND).await;
        queue.push("late", "late".to_owned());
    };
    beside(desk.worker(queue.clone()).run(&token), late).await.0.unwrap();
    assert_eq!((desk.events(), queue.len()), (vec![], 1));
}

#[supervised::test(start_paused = true)]
async fn messages_of_the_last_pull_are_handled() {
    let (queue, token) = (queue([]), CancellationToken::new());
    let desk = Desk::default();
    let late = async {
        // The worker has an open pull.
        sleep(SECOND / 2).await;
        token.cancel();
        queue.push("late", "late".to_owned());
    };
    beside(desk.worker(queue.clone()).run(&token), late).await.0.unwrap();
    assert_eq!((desk.started("late"), queue.is_empty()), (1, true));
}

#[supervised::test(start_paused = true)]
async fn a_message_that_waits_for_a_retry_in_its_slot_returns() {
    let (queue, token) = (queue(["1"]), CancellationToken::new());
    let desk = Desk::default().acts("1", [Act::Fail(tokio_supervised_worker::Class::External)]);
    let worker = desk.worker(queue.clone()).retry(3_600 * SECOND..3_600 * SECOND);
    let stop = async {
        sleep(SECOND).await;
        token.cancel();
        Instant::now()
    };
    let (ran, stopped) = beside(worker.run(&token), stop).await;
    ran.unwrap();
    assert!(stopped.elapsed() < 2 * SECOND, "{:?}", stopped.elapsed());
    assert_eq!((desk.started("1"), queue.len()), (1, 1));
}

#[supervised::test(start_paused = true)]
async fn a_message_that_does_not_stop_is_named() {
    let (queue, token) = (MemoryQueue::new(), CancellationToken::new());
    queue.push("order 7", ());
    let worker = Worker::new(queue.clone(), |token, ()| stubborn(token)).drain(2 * SECOND);
    let stop = async {
        sleep(SECOND).await;
        token.cancel();
    };
    let error = beside(worker.run(&token), stop).await.0.unwrap_err();
    let WorkerError::Unfinished(unfinished) = &error else { panic!("{error:?}") };
    assert!(unfinished.to_string().contains("[order 7]"), "{unfinished}");
    assert!(error.source().is_some() && !is_cancelled(&error));
    // It returns to the queue: its delivery was dropped.
    assert_eq!(queue.len(), 1);
}

#[supervised(grace = "none", name = "stubborn")]
async fn stubborn(token: &CancellationToken) -> Result<(), TaskError> {
    sleep(3_600 * SECOND).await;
    _ = token.is_cancelled();
    Ok(())
}

#[supervised::test(start_paused = true)]
async fn a_dropped_run_returns_its_messages() {
    let (queue, token) = (queue(["1", "2"]), CancellationToken::new());
    let desk = Desk::default().acts("1", [Act::Work(600 * SECOND)]);
    tokio::select! {
        _ = desk.worker(queue.clone()).run(&token) => unreachable!("its token does not fire"),
        () = sleep(SECOND) => {}
    }
    sleep(SECOND).await;
    let again = queue.clone().pull(2).await.unwrap();
    assert_eq!(again.iter().map(|it| it.id()).collect::<Vec<_>>(), ["1"]);
}

#[supervised::test(start_paused = true)]
async fn a_worker_whose_token_has_fired_pulls_nothing() {
    let (queue, token) = (queue(["1"]), CancellationToken::new());
    token.cancel();
    let desk = Desk::default();
    desk.worker(queue.clone()).run(&token).await.unwrap();
    assert_eq!((desk.started("1"), queue.deliveries()), (0, 0));
}

#[supervised::test(start_paused = true)]
async fn two_workers_share_a_queue() {
    let (queue, token) = (queue([]), CancellationToken::new());
    for number in 0..200 {
        queue.push(number.to_string(), number.to_string());
    }
    let desk = Desk::default();
    let [first, second] = [(); 2].map(|()| desk.worker(queue.clone()).slots(2));
    let stop = async {
        queue.emptied().await;
        token.cancel();
    };
    let both = async { first.run(&token).await.and(Ok(())) };
    let (ended, ()) =
        beside(async { tokio::try_join!(both, second.run(&token)).map(|_| ()) }, stop).await;
    ended.unwrap();
    assert_eq!((queue.deliveries(), desk.events().len()), (200, 400));
    assert_eq!(desk.most(), 4);
}

#[supervised(name = "orders", grace = "none")]
async fn orders(
    token: &CancellationToken,
    desk: Desk,
    queue: MemoryQueue<String>,
) -> Result<(), WorkerError> {
    desk.worker(queue).drain(40 * SECOND).run(token).await
}

#[supervised::test(start_paused = true)]
async fn a_supervised_function_without_grace_drains_fully() {
    let (queue, token) = (queue(["1"]), CancellationToken::new());
    // Longer than the default grace after the token.
    let desk = Desk::default().acts("1", [Act::Work(30 * SECOND)]);
    let stop = async {
        sleep(SECOND).await;
        token.cancel();
    };
    let run = async { orders(&token, desk.clone(), queue.clone()).await };
    beside(run, stop).await.0.unwrap();
    assert!(queue.is_empty());
}

/// A queue that refuses the settings from its `refused`th connection on.
struct Contradicting {
    queue: MemoryQueue<String>,
    refused: usize,
    connected: usize,
}

impl Queue for Contradicting {
    type Delivery = MemoryDelivery<String>;
    type Error = tokio_supervised_worker::Disconnected;

    fn system(&self) -> &'static str {
        "memory"
    }

    fn destination(&self) -> &str {
        "contradicting"
    }

    async fn connect(&mut self, settings: &Settings) -> Result<(), Self::Error> {
        self.queue.connect(settings).await?;
        self.connected += 1;
        Ok(())
    }

    fn check(&self, settings: &Settings) -> Result<(), SettingError> {
        if self.connected < self.refused {
            return Ok(());
        }
        let slots = settings.slots;
        Err(SettingError::new("most", format!("{slots} slots are above it"), "write `.slots(1)`"))
    }

    async fn pull(&mut self, room: usize) -> Result<Vec<Self::Delivery>, Self::Error> {
        self.queue.pull(room).await
    }
}

#[supervised::test(start_paused = true)]
async fn contradicting_settings_end_the_worker_and_are_named() {
    let token = CancellationToken::new();
    let queue = Contradicting { queue: queue(["1"]), refused: 1, connected: 0 };
    let worker =
        Worker::new(queue, task!("handle", |_, _: String| async { Ok::<_, TaskError>(()) }));
    let error = worker.run(&token).await.unwrap_err();
    let WorkerError::Setting(setting) = &error else { panic!("{error:?}") };
    assert_eq!(setting.setting(), "most");
    let said = error.source().unwrap().to_string();
    assert_eq!(said, "`most`: 8 slots are above it\nhelp: write `.slots(1)`");
}

/// Loses the connection after a second; the next one refuses the settings.
async fn reconnect(queue: &MemoryQueue<String>) -> Instant {
    sleep(SECOND).await;
    queue.set_away(true);
    sleep(SECOND).await;
    queue.set_away(false);
    Instant::now()
}

#[supervised::test(start_paused = true)]
async fn a_setting_error_after_a_reconnect_ends_the_waits() {
    let (queue, token) = (queue(["1"]), CancellationToken::new());
    let desk = Desk::default().acts("1", [Act::Fail(tokio_supervised_worker::Class::External)]);
    let refusing = Contradicting { queue: queue.clone(), refused: 2, connected: 0 };
    let worker = desk.worker(refusing).retry(3_600 * SECOND..3_600 * SECOND);
    let (ran, back) = beside(worker.run(&token), reconnect(&queue)).await;
    let error = ran.unwrap_err();
    assert!(matches!(error, WorkerError::Setting(_)), "{error:?}");
    // The message does not wait for the end of the drain.
    assert!(back.elapsed() < 10 * SECOND, "{:?}", back.elapsed());
    assert_eq!((desk.started("1"), queue.len(), token.is_cancelled()), (1, 1, false));
}

#[supervised::test(start_paused = true)]
async fn unfinished_messages_precede_a_setting_error() {
    let (queue, token) = (queue(["1"]), CancellationToken::new());
    let refusing = Contradicting { queue: queue.clone(), refused: 2, connected: 0 };
    let worker = Worker::new(refusing, |token, _: String| stubborn(token)).drain(2 * SECOND);
    let error = beside(worker.run(&token), reconnect(&queue)).await.0.unwrap_err();
    assert!(matches!(error, WorkerError::Unfinished(_)), "{error:?}");
}
