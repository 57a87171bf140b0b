//! Slots, and the live tree.

use std::time::Duration;

use tokio::time::sleep;
use tokio_supervised::{CancellationToken, supervised, tasks};

use crate::rig::{Act, Desk, beside, queue};

const SECOND: Duration = Duration::from_secs(1);

#[supervised::test(start_paused = true)]
async fn no_more_messages_are_pulled_than_slots_are_free() {
    let (queue, token) = (queue(["1", "2", "3", "4", "5"]), CancellationToken::new());
    let long = || [Act::Work(10 * SECOND)];
    let desk = Desk::default().acts("1", long()).acts("2", long());
    let look = async {
        sleep(5 * SECOND).await;
        // Two run, and no third one waits in this process.
        assert_eq!(queue.deliveries(), 2);
        queue.emptied().await;
        token.cancel();
    };
    beside(desk.worker(queue.clone()).slots(2).run(&token), look).await.0.unwrap();
    assert_eq!(desk.most(), 2);
}

#[supervised::test(start_paused = true)]
async fn a_message_is_a_task_with_its_id_as_label() {
    let (queue, token) = (queue(["order 7"]), CancellationToken::new());
    let desk = Desk::default().acts("order 7", [Act::Work(10 * SECOND)]);
    let look = async {
        sleep(SECOND).await;
        let tree = tasks().to_string();
        token.cancel();
        tree
    };
    let (ran, tree) = beside(desk.worker(queue.clone()).run(&token), look).await;
    ran.unwrap();
    let line = tree.lines().find(|line| line.contains("[order 7]"));
    assert!(line.is_some_and(|line| line.contains("message")), "{tree}");
}

#[supervised::test(start_paused = true)]
async fn a_worker_in_a_loop_leaves_nothing_behind() {
    for round in 0..200 {
        let id = round.to_string();
        let (queue, desk) = (queue([&id]), Desk::default());
        desk.empties(&queue).await;
        assert_eq!(desk.started(&id), 1);
    }
}
