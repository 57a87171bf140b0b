//! Failures, and how often a message is tried.

use std::time::Duration;

use tokio::{
    join,
    time::{Instant, sleep},
};
use tokio_supervised::{CancellationToken, supervised};
use tokio_supervised_worker::{Class, MemoryQueue, Queue as _, Worker};

use crate::rig::{Act, Desk, beside, handle, queue};

const TRANSIENT: Act = Act::Fail(Class::Transient);

#[supervised::test(start_paused = true)]
async fn a_transient_failure_is_retried_with_a_backoff() {
    let queue = queue(["1"]);
    let work = Act::Work(Duration::ZERO);
    let desk = Desk::default().acts("1", [TRANSIENT, TRANSIENT, TRANSIENT, work]);
    let start = Instant::now();
    desk.empties(&queue).await;
    assert_eq!((desk.started("1"), queue.deliveries()), (4, 4));
    // 1, 2 and 4 s.
    assert!(start.elapsed() >= Duration::from_secs(7), "{:?}", start.elapsed());
    assert_eq!(queue.dead_letters().len(), 0);
}

#[supervised::test(start_paused = true)]
async fn too_many_failures_make_a_dead_letter_with_the_reason() {
    let queue = queue(["1", "2"]);
    let desk = Desk::default().acts("1", [TRANSIENT]);
    desk.empties(&queue).await;
    let dead = queue.dead_letters();
    assert_eq!(dead.len(), 1);
    assert_eq!((&*dead[0].id, &*dead[0].reason), ("1", "a Transient failure"));
    assert_eq!((dead[0].delivered, desk.started("1"), desk.started("2")), (5, 5, 1));
}

#[supervised::test(start_paused = true)]
async fn a_panic_is_retried_and_its_text_is_the_reason() {
    let queue = queue(["1"]);
    let desk = Desk::default().acts("1", [Act::Panic]);
    desk.empties(&queue).await;
    let dead = queue.dead_letters();
    assert_eq!(desk.started("1"), 5);
    assert!(dead[0].reason.starts_with("task `handle` panicked at "), "{dead:?}");
    assert!(dead[0].reason.ends_with(": a panic of the function"), "{dead:?}");
}

#[supervised::test(start_paused = true)]
async fn a_permanent_failure_is_not_retried() {
    let queue = queue(["1"]);
    let desk = Desk::default().acts("1", [Act::Fail(Class::Permanent)]);
    desk.empties(&queue).await;
    assert_eq!(desk.started("1"), 1);
    assert_eq!(queue.dead_letters()[0].reason, "a Permanent failure");
}

#[supervised::test(start_paused = true)]
async fn external_failures_use_up_no_attempts() {
    let queue = queue(["1"]);
    let mut acts = vec![Act::Fail(Class::External); 50];
    // Four transient failures are still allowed after them.
    acts.extend([TRANSIENT, TRANSIENT, TRANSIENT, TRANSIENT, Act::Work(Duration::ZERO)]);
    let desk = Desk::default().acts("1", acts);
    desk.empties(&queue).await;
    assert_eq!(desk.started("1"), 55);
    assert_eq!(queue.dead_letters().len(), 0);
    // It waited in its slot.
    assert_eq!(queue.deliveries(), 5);
}

#[supervised::test(start_paused = true)]
async fn a_message_that_kills_its_workers_is_given_up_unstarted() {
    let queue = queue(["1"]);
    let desk = Desk::default().acts("1", [Act::Work(Duration::from_secs(600))]);
    for delivery in 1..=10 {
        // Like a killed process: neither drained nor settled.
        let token = CancellationToken::new();
        let killed = desk.worker(queue.clone());
        tokio::select! {
            _ = killed.run(&token) => unreachable!("its token does not fire"),
            () = async { while desk.started("1") < delivery { sleep(Duration::from_millis(10)).await } } => {}
        }
    }
    desk.empties(&queue).await;
    assert_eq!(desk.started("1"), 10);
    assert_eq!(
        queue.dead_letters()[0].reason,
        "not started: none of 10 earlier deliveries was reported as done"
    );
}

#[supervised::test(start_paused = true)]
async fn an_unstarted_message_is_never_removed_unstored() {
    let (queue, desk) = (queue(["1"]), Desk::default());
    for _ in 0..2 {
        // Its delivery is dropped, as by a kill.
        drop(queue.clone().pull(1).await.unwrap());
    }
    let run = async |attempts: u32| {
        let (token, desk) = (CancellationToken::new(), desk.clone());
        let worker = Worker::new(queue.clone(), move |token, id| handle(token, desk.clone(), id));
        let worker =
            worker.attempts(attempts).retry(Duration::from_secs(1)..Duration::from_secs(60));
        let stop = async {
            sleep(Duration::from_secs(90)).await;
            token.cancel();
        };
        beside(worker.run(&token), stop).await.0.unwrap();
    };
    run(1).await;
    // At once, and after the longest wait.
    assert_eq!((desk.started("1"), queue.len(), queue.deliveries()), (0, 1, 4));
    assert_eq!(queue.dead_letters().len(), 0);
    // With more attempts it runs.
    run(5).await;
    assert_eq!((desk.started("1"), queue.len()), (1, 0));
}

#[supervised::test(start_paused = true)]
async fn an_unreadable_message_becomes_a_dead_letter() {
    let queue = MemoryQueue::new();
    queue.push("1", "not a number".to_owned());
    queue.push("2", "7".to_owned());
    let numbers = queue.clone().decode(|text: String| text.parse::<u32>());
    let numbers = numbers.decode(|number| Ok::<_, std::io::Error>(number.to_string()));
    let (desk, token) = (Desk::default(), CancellationToken::new());
    let stop = async {
        queue.emptied().await;
        token.cancel();
    };
    beside(desk.worker(numbers).run(&token), stop).await.0.unwrap();
    let dead = queue.dead_letters();
    assert_eq!((&*dead[0].reason, dead.len()), ("unreadable: invalid digit found in string", 1));
    assert_eq!(desk.started("7"), 1);
}

#[supervised::test(start_paused = true)]
async fn a_panic_outside_the_function_returns_the_message() {
    let queue = queue(["1", "2"]);
    let panics = queue.clone().decode(|text: String| -> Result<String, std::io::Error> {
        if text == "1" { panic!("a panic of the decoder") } else { Ok(text) }
    });
    let (desk, token) = (Desk::default(), CancellationToken::new());
    let stop = async {
        queue.emptied().await;
        token.cancel();
    };
    let (ran, ()) = join!(desk.worker(panics).attempts(2).run(&token), stop);
    ran.unwrap();
    // Given up like one that kills its workers.
    assert_eq!(
        queue.dead_letters()[0].reason,
        "not started: none of 4 earlier deliveries was reported as done"
    );
    assert_eq!(desk.started("2"), 1);
}
