//! Work that takes longer than `ack_wait`, and work that is cancelled.

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
fn work_of_five_times_the_ack_wait_is_delivered_once() {
    let place = Place::new();
    let said = Said::default();
    publish(&place, "1 2 20\n2 2 40\n3 2 60\n");
    let settings =
        Settings { slots: 2, work_ms: 4_000, ack_wait_ms: 800, attempts: 5, retry_ms: 10 };
    let workers = [(); 2].map(|()| settings.worker(&place, &said).ready());
    place.until_empty(LIMIT);
    for ended in workers.map(|worker| worker.stop()) {
        assert_eq!(ended.code(), Some(0), "{ended:?}");
    }

    assert_eq!(place.recorded(), 3);
    assert_eq!(place.delivered(), 3, "progress was reported before `ack_wait`");
}

#[test]
#[ignore = "needs nats-server and postgresql"]
fn work_that_outlasts_the_drain_is_redelivered_at_once() {
    let place = Place::new();
    let said = Said::default();
    publish(&place, "1 2 20\n");
    // With this `ack_wait`, a redelivery by timeout would come long after the test's limit.
    let mut settings =
        Settings { slots: 2, work_ms: 9_000, ack_wait_ms: 600_000, attempts: 5, retry_ms: 10 };
    let slow = settings.worker(&place, &said).ready();
    until("it is with a worker", LIMIT, || place.delivered() == 1);
    let ended = slow.stop();
    assert_eq!(ended.code(), Some(0), "{ended:?}");

    settings.work_ms = 0;
    let quick = settings.worker(&place, &said).ready();
    until("it is recorded", LIMIT, || place.recorded() == 1);
    place.until_empty(LIMIT);
    quick.stop();
}
