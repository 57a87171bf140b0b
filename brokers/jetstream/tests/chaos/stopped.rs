//! Orders that arrive while a worker stops.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::{
    fleet::{Said, Settings},
    place::Place,
};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs nats-server and postgresql"]
fn messages_during_the_stop_of_a_worker_are_delivered_once() {
    let place = Place::new();
    let said = Said::default();
    // With this `ack_wait`, a message delivered to a stopped worker is redelivered after the test's limit.
    let settings =
        Settings { slots: 8, work_ms: 0, ack_wait_ms: 600_000, attempts: 5, retry_ms: 10 };
    let mut workers = Vec::from([(); 2].map(|()| settings.worker(&place, &said).ready()));
    let mut orders = 0;
    let mut publish = |count: usize| {
        for order in orders..orders + count {
            place.publish(order);
        }
        orders += count;
    };
    for _ in 0..6 {
        // Few enough that both workers are waiting, with open requests.
        publish(4);
        let stopping = workers.remove(0);
        stopping.send(Signal::SIGTERM);
        publish(20);
        let ended = stopping.end();
        assert_eq!(ended.code(), Some(0), "{ended:?} {:#?}", said.trouble());
        workers.push(settings.worker(&place, &said).ready());
    }
    place.until_empty(LIMIT);
    for ended in workers.into_iter().map(|worker| worker.stop()) {
        assert_eq!(ended.code(), Some(0), "{ended:?} {:#?}", said.trouble());
    }

    assert_eq!(place.recorded(), orders);
    assert_eq!(place.delivered(), orders as u64);
}
