//! Orders that cannot be processed.

use std::time::Duration;

use crate::{
    child::until,
    fleet::{Said, Settings},
    place::Place,
    publisher::publish,
};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs nats-server and postgresql"]
fn panicking_orders_are_retried_and_unreadable_ones_are_not() {
    let place = Place::new();
    let said = Said::default();
    publish(&place, "1 2 20\n2 0 20\n3 two 20\n4 2\n5 2 100\n");
    let settings =
        Settings { slots: 2, work_ms: 0, ack_wait_ms: 30_000, attempts: 3, retry_ms: 10 };
    let worker = settings.worker(&place, &said).ready();
    place.until_empty(LIMIT);
    let ended = worker.stop();

    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(place.prices(), [("1".to_owned(), 10), ("5".to_owned(), 50)]);
    let mut dead = place.dead();
    dead.sort_by(|a, b| a.id.cmp(&b.id));
    let seen = |n: usize| (&*dead[n].text, &*dead[n].delivered, &*dead[n].reason);
    assert_eq!(dead.len(), 3, "{dead:#?}");
    assert!(dead[0].reason.starts_with("task `item price` panicked at "), "{dead:#?}");
    assert!(dead[0].reason.ends_with(": attempt to divide by zero"), "{dead:#?}");
    assert_eq!((seen(0).0, seen(0).1), ("2 0 20", "3"));
    assert_eq!(seen(1), ("3 two 20", "1", "invalid digit found in string"));
    assert_eq!(seen(2), ("4 2", "1", "missing field: cents"));
}

#[test]
#[ignore = "needs nats-server and postgresql"]
fn an_order_that_kills_its_workers_is_given_up_unstarted() {
    let place = Place::new();
    let said = Said::default();
    publish(&place, "1 2 20\n");
    let mut settings =
        Settings { slots: 2, work_ms: 9_000, ack_wait_ms: 300, attempts: 2, retry_ms: 10 };
    // Twice the number of allowed failures.
    for delivery in 1..=4 {
        let worker = settings.worker(&place, &said).ready();
        until("it is with a worker", LIMIT, || place.delivered() == delivery);
        worker.kill();
    }
    settings.work_ms = 0;
    let worker = settings.worker(&place, &said).ready();
    place.until_empty(LIMIT);
    worker.stop();

    let dead = place.dead();
    assert_eq!(dead.len(), 1, "{dead:#?}");
    assert_eq!(dead[0].reason, "not started: none of 4 earlier deliveries was reported as done");
}
