//! Servers that are unreachable for a while.

use std::time::Duration;

use crate::{
    child::until,
    fleet::{Said, Settings},
    orders::Orders,
    place::Place,
    publisher::publish,
};

const LIMIT: Duration = Duration::from_secs(120);
const ORDERS: usize = 600;

const SETTINGS: Settings =
    Settings { slots: 4, work_ms: 10, ack_wait_ms: 2_000, attempts: 3, retry_ms: 100 };

#[test]
#[ignore = "needs nats-server and postgresql"]
fn an_unreachable_database_uses_up_no_attempts() {
    let mut place = Place::new();
    let said = Said::default();
    let orders = Orders::good(ORDERS);
    publish(&place, &orders.lines);
    let workers = [(); 2].map(|()| SETTINGS.worker(&place, &said).ready());
    for part in [1, 2] {
        until("so many are recorded", LIMIT, || place.recorded() >= ORDERS * part / 4);
        place.database.stop();
        until("the workers notice", LIMIT, || said.count("the session is over") >= 4 * part);
        place.database.run();
        place.reconnect();
    }
    place.until_empty(LIMIT);
    for ended in workers.map(|worker| worker.stop()) {
        assert_eq!(ended.code(), Some(0), "{ended:?} {:#?}", said.trouble());
    }

    assert!(place.prices() == orders.good, "each order is recorded");
    assert_eq!(place.totals(), orders.totals());
    assert_eq!(place.dead_ids().len(), 0, "{:#?}", place.dead());
}

#[test]
#[ignore = "needs nats-server and postgresql"]
fn workers_wait_for_a_late_and_for_a_reset_broker() {
    let mut place = Place::new();
    let said = Said::default();
    place.broker.kill();
    let worker = SETTINGS.worker(&place, &said);
    until("it has tried", LIMIT, || said.count("the queue is away") >= 1);
    place.broker.run();
    let worker = worker.ready();
    publish(&place, "1 2 20\n");
    until("the first is recorded", LIMIT, || place.recorded() == 1);

    place.broker.kill();
    std::fs::remove_dir_all(place.folder.path().join("store")).unwrap();
    place.broker.run();
    publish(&place, "2 2 40\n");
    until("the second is recorded", LIMIT, || place.recorded() == 2);
    place.until_empty(LIMIT);
    let ended = worker.stop();

    assert_eq!(ended.code(), Some(0), "{ended:?} {:#?}", said.trouble());
}
