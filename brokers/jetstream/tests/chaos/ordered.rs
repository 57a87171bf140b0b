//! Key order under kills: one ordered worker for each partition.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use testkit::random::Random;

use crate::{
    child::until,
    fleet::{Process, Said, Settings},
    orders::jobs,
    place::Place,
    publisher::publishing_in_order,
};

const PARTITIONS: usize = 3;

fn limit() -> Duration {
    Duration::from_secs(120 + jobs() as u64 / 20)
}

/// The partition of an order is that of its key; here the key is the partition.
fn partition(line: &str) -> usize {
    let order: usize = line.split(' ').next().unwrap().parse().unwrap();
    order % PARTITIONS
}

#[test]
#[ignore = "needs nats-server and postgresql"]
fn kills_of_ordered_workers_keep_the_order_of_keys() {
    let place = Place::alone();
    let (said, mut random, jobs) = (Said::default(), Random::from_environment(), jobs() / 4);
    let settings = Settings { slots: 1, work_ms: 0, ack_wait_ms: 900, attempts: 5, retry_ms: 50 };
    let mut lines = String::new();
    for order in 0..jobs {
        writeln!(lines, "{order} 2 {}", 2 * order).unwrap();
    }
    let start = Instant::now();
    let publisher =
        publishing_in_order(&place, &lines, |line| format!("orders.new.{}", partition(line)));
    // Two workers of each partition: the second one waits for the first one's message.
    let worker =
        |place: &Place, number: usize| settings.of_partition(place, &said, number % PARTITIONS);
    let mut workers: Vec<_> = (0..2 * PARTITIONS).map(|number| worker(&place, number)).collect();
    let kills = 6;
    for kill in 1..=kills {
        until("so many are recorded", limit(), || place.recorded() >= jobs * kill / (kills + 2));
        let chosen = random.below(workers.len());
        std::mem::replace(&mut workers[chosen], worker(&place, chosen)).kill();
    }
    publisher.end();
    place.until_empty(limit());
    workers.into_iter().map(Process::stop).for_each(|ended| assert!(ended.success(), "{ended:?}"));

    let recorded = place.recorded_in_order();
    eprintln!(
        "{jobs} jobs in {:.1?}: {kills} workers killed, {} redeliveries, {} effects \
         suppressed",
        start.elapsed(),
        said.count("delivered again"),
        said.count("recorded before"),
    );
    assert_eq!(recorded.len(), jobs, "each order has its effect once");
    for partition in 0..PARTITIONS {
        let of_key: Vec<_> =
            recorded.iter().filter(|order| **order as usize % PARTITIONS == partition).collect();
        assert!(of_key.is_sorted(), "partition {partition}: {of_key:?}");
    }
}
