//! Kills workers and the broker: deliveries are at least once, effects exactly once.

use std::{
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use crate::{
    child::until,
    fleet::{Process, Said, Settings},
    orders::{Orders, jobs},
    place::Place,
    publisher::publishing,
};
use testkit::random::Random;

const WORKERS: usize = 5;

/// The time limit of each step: ten times what an idle machine needs.
fn limit() -> Duration {
    Duration::from_secs(60 + jobs() as u64 / 50)
}

/// Longer than the `ack_wait` of the workers.
const SETTLING: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Kill,
    Stop,
    KillBroker,
    PublishAgain,
}

/// The events, each with the number of recorded orders at which it happens.
fn events(random: &mut Random, jobs: usize) -> Vec<(usize, Event)> {
    let many = jobs / 1_000;
    let kinds = [
        (Event::Kill, 4 + many),
        (Event::Stop, 3 + many / 2),
        (Event::KillBroker, 2 + many / 5),
        (Event::PublishAgain, 1),
    ];
    let each = kinds.into_iter().flat_map(|(event, count)| std::iter::repeat_n(event, count));
    // The last event happens before the last order.
    let mut events: Vec<_> = each.map(|event| (random.below(jobs * 9 / 10), event)).collect();
    events.sort_by_key(|(moment, _)| *moment);
    events
}

#[test]
#[ignore = "needs nats-server and postgresql"]
fn kills_of_workers_and_broker_keep_exactly_once_effects() {
    let mut place = Place::alone();
    let mut random = Random::from_environment();
    let (said, orders) = (Said::default(), Orders::new(jobs()));
    let settings = Settings { slots: 4, work_ms: 5, ack_wait_ms: 2_000, attempts: 5, retry_ms: 50 };
    let start = Instant::now();
    let mut publishers = vec![publishing(&place, &orders.lines)];
    let worker = |place: &Place| settings.worker(place, &said);
    let mut workers: Vec<_> = (0..WORKERS).map(|_| worker(&place)).collect();

    let (mut kills, mut stops, mut broker_kills, mut unreported) = (0, 0, 0, 0);
    for (moment, event) in events(&mut random, jobs()) {
        until("so many are recorded", limit(), || place.recorded() >= moment);
        eprintln!("{:6.1?} {moment:5} recorded: {event:?}", start.elapsed());
        let chosen = random.below(WORKERS);
        match event {
            Event::Kill => {
                std::mem::replace(&mut workers[chosen], worker(&place)).kill();
                kills += 1;
            }
            Event::Stop => {
                let ended = std::mem::replace(&mut workers[chosen], worker(&place)).stop();
                match ended.code() {
                    Some(0) => {}
                    // The broker had just been killed, and did not get the report in time.
                    Some(1) => unreported += 1,
                    // It had just started, and handled neither signals nor orders yet.
                    None if ended.signal() == Some(15) => {}
                    _ => panic!("{ended:?}"),
                }
                stops += 1;
            }
            Event::KillBroker => {
                place.broker.kill();
                place.broker.run();
                broker_kills += 1;
            }
            // Includes finished orders that the broker has forgotten: the database has them.
            Event::PublishAgain => publishers.push(publishing(&place, &orders.again)),
        }
    }
    publishers.into_iter().for_each(|publisher| _ = publisher.end());
    eprintln!("{:6.1?} all is published", start.elapsed());
    // After a kill, the broker may wait for acknowledgements of messages that it no longer has.
    let missed = place.until_done(jobs(), limit(), SETTLING);
    let took = start.elapsed();
    // After a kill, the broker may restore removed messages below its consumer's position: they stay and are not
    // delivered. The workers create a deleted consumer again, which delivers them.
    let left = place.waiting().unwrap();
    place.forget_consumer();
    place.until_empty(limit());
    let ended: Vec<_> = workers.into_iter().map(Process::stop).collect();

    let (prices, dead) = (place.prices(), place.dead_ids());
    let effects = place.totals();
    let lost = orders.good.len().saturating_sub(prices.len()) + orders.bad.len() - dead.len();
    eprintln!(
        "{} jobs in {took:.1?}: {kills} workers killed, {stops} stopped ({unreported} with something unreported), \
         broker killed {broker_kills} times; {} redeliveries, {} effects suppressed, {} given up, \
         {left} left in the stream ({missed} of them not done), lost: {lost}",
        jobs(),
        said.count("delivered again"),
        said.count("recorded before"),
        dead.len(),
    );
    assert_eq!(lost, 0);
    assert!(prices == orders.good, "exactly the good orders are recorded");
    assert_eq!(effects, orders.totals(), "each order has its effect once");
    assert_eq!(dead, orders.bad, "exactly the bad orders are given up: {:#?}", place.dead());
    assert!(ended.iter().all(|it| it.success()), "{ended:?} {:#?}", said.trouble());
}
