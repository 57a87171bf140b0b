//! One message of a key at a time.

use std::time::Duration;

use tokio_supervised::{CancellationToken, supervised};
use tokio_supervised_worker::{Class, MemoryQueue, Queue as _};

use crate::rig::{Act, Desk, Event, beside};

async fn ordered(desk: &Desk, queue: &MemoryQueue<String>) {
    let token = CancellationToken::new();
    let stop = async {
        queue.emptied().await;
        token.cancel();
    };
    beside(desk.worker(queue.clone()).ordered().run(&token), stop).await.0.unwrap();
}

/// Six messages of three keys.
fn keyed() -> MemoryQueue<String> {
    let queue = MemoryQueue::new();
    for id in ["a1", "a2", "b1", "a3", "b2", "c1"] {
        queue.push_keyed(id, &id[..1], id.to_owned());
    }
    queue
}

fn of_key(desk: &Desk, key: &str) -> Vec<Event> {
    let events = desk.events().into_iter();
    let is_of_key = |event: &Event| match event {
        Event::Start(id) | Event::End(id) | Event::Cancelled(id) => id.starts_with(key),
    };
    events.filter(is_of_key).collect()
}

fn one_after_the_other(ids: &[&str]) -> Vec<Event> {
    ids.iter().flat_map(|id| [Event::Start((*id).into()), Event::End((*id).into())]).collect()
}

#[supervised::test(start_paused = true)]
async fn messages_of_a_key_run_one_at_a_time_in_order() {
    let slow = [Act::Work(Duration::from_secs(9))];
    let (desk, queue) = (Desk::default().acts("a1", slow), keyed());
    ordered(&desk, &queue).await;
    assert_eq!(of_key(&desk, "a"), one_after_the_other(&["a1", "a2", "a3"]));
    assert_eq!(of_key(&desk, "b"), one_after_the_other(&["b1", "b2"]));
    // The keys run beside each other.
    assert_eq!(desk.most(), 3);
}

#[supervised::test(start_paused = true)]
async fn messages_without_a_key_are_not_ordered() {
    let (desk, queue) = (Desk::default(), MemoryQueue::new());
    for id in ["1", "2", "3"] {
        queue.push(id, id.to_owned());
    }
    ordered(&desk, &queue).await;
    assert_eq!(desk.most(), 3);
}

#[supervised::test(start_paused = true)]
async fn a_retried_message_keeps_its_turn() {
    let transient = Act::Fail(Class::Transient);
    let acts = [transient, transient, Act::Work(Duration::ZERO)];
    let (desk, queue) = (Desk::default().acts("a1", acts), keyed());
    ordered(&desk, &queue).await;
    assert_eq!(of_key(&desk, "a"), one_after_the_other(&["a1", "a1", "a1", "a2", "a3"]));
    assert_eq!(queue.deliveries(), 6);
}

#[supervised::test(start_paused = true)]
async fn a_message_that_is_given_up_passes_its_turn_on() {
    let acts = [Act::Fail(Class::Transient)];
    let (desk, queue) = (Desk::default().acts("a1", acts), keyed());
    ordered(&desk, &queue).await;
    assert_eq!(
        of_key(&desk, "a"),
        one_after_the_other(&["a1", "a1", "a1", "a1", "a1", "a2", "a3"])
    );
    assert_eq!(queue.dead_letters().len(), 1);
}

#[supervised::test(start_paused = true)]
async fn a_panic_passes_the_turn_of_its_key_on() {
    let queue = keyed();
    let panics = queue.clone().decode(|text: String| -> Result<String, std::io::Error> {
        if text == "a1" { panic!("a panic of the decoder") } else { Ok(text) }
    });
    let (desk, token) = (Desk::default(), CancellationToken::new());
    let stop = async {
        queue.emptied().await;
        token.cancel();
    };
    beside(desk.worker(panics).ordered().run(&token), stop).await.0.unwrap();
    assert_eq!(of_key(&desk, "a"), one_after_the_other(&["a2", "a3"]));
}

#[supervised::test(start_paused = true)]
async fn messages_that_wait_for_their_key_return_at_the_stop() {
    let token = CancellationToken::new();
    let long = [Act::Work(Duration::from_secs(600))];
    let (desk, queue) = (Desk::default().acts("a1", long), keyed());
    let stop = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        token.cancel();
    };
    beside(desk.worker(queue.clone()).ordered().run(&token), stop).await.0.unwrap();
    assert_eq!(of_key(&desk, "a"), [Event::Start("a1".into()), Event::Cancelled("a1".into())]);
    assert_eq!(queue.len(), 3);
}

#[supervised::test(start_paused = true)]
async fn a_message_that_returns_takes_those_behind_it_along() {
    let token = CancellationToken::new();
    let (desk, queue) = (Desk::default().acts("a1", [Act::Fail(Class::External)]), keyed());
    let stop = async {
        // It waits for its next attempt, and the others of its key for it.
        tokio::time::sleep(Duration::from_millis(500)).await;
        token.cancel();
    };
    beside(desk.worker(queue.clone()).ordered().run(&token), stop).await.0.unwrap();
    assert_eq!(of_key(&desk, "a"), one_after_the_other(&["a1"]));
    assert_eq!(queue.len(), 3);
}
