//! Starts and stops workers: each message is delivered exactly once.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::{
    child::pause,
    fleet::{Process, Said, Settings},
    orders::{Orders, jobs},
    place::Place,
    publisher::{Published, publish},
};

/// The number of workers at each step.
const STEPS: [usize; 5] = [2, 4, 8, 4, 2];

const LIMIT: Duration = Duration::from_secs(300);

#[test]
#[ignore = "needs nats-server and postgresql"]
fn scaling_workers_scales_throughput_without_duplicates() {
    let place = Place::alone();
    let said = Said::default();
    let orders = Orders::good(jobs());
    assert_eq!(publish(&place, &orders.lines), Published { all: jobs(), known: 0 });
    assert_eq!(publish(&place, &orders.lines), Published { all: jobs(), known: jobs() });

    // 40 ms for each order, four at a time: at most 100 orders/s for each worker, which mostly waits.
    let settings =
        Settings { slots: 4, work_ms: 40, ack_wait_ms: 30_000, attempts: 5, retry_ms: 50 };
    // At full speed, all steps together process three quarters of the orders.
    let step = Duration::from_secs_f64(jobs() as f64 * 0.75 / (100 * 20) as f64);
    let mut workers: Vec<Process> = Vec::new();
    let mut rates = Vec::new();
    for count in STEPS {
        let more = count.saturating_sub(workers.len());
        let started: Vec<_> = (0..more).map(|_| settings.worker(&place, &said)).collect();
        workers.extend(started.into_iter().map(Process::ready));
        stop_all(workers.split_off(count), &said);
        let (start, before) = (Instant::now(), place.recorded());
        // Measures the orders done in this time.
        pause(step);
        let done = place.recorded() - before;
        let rate = done as f64 / start.elapsed().as_secs_f64();
        eprintln!("{count} workers, {} slots: {rate:.0} orders/s", count * 4);
        rates.push(rate);
    }
    place.until_empty(LIMIT);
    stop_all(workers, &said);

    assert!(place.prices() == orders.good, "each order is recorded");
    assert_eq!(place.totals(), orders.totals());
    assert_eq!(place.delivered(), jobs() as u64, "each message is delivered once");
    assert_eq!(said.count("delivered again"), 0);
    assert_eq!(said.count("recorded before"), 0);
    // With four times the workers. The bound is low because the machine may be busy.
    assert!(rates[2] > 1.5 * rates[0], "{rates:?}");
}

/// Stops all workers at once. Each must have reported the outcome of every order.
fn stop_all(workers: Vec<Process>, said: &Said) {
    for worker in &workers {
        worker.send(Signal::SIGTERM);
    }
    for ended in workers.into_iter().map(Process::end) {
        assert_eq!(ended.code(), Some(0), "{ended:?} {:#?}", said.trouble());
    }
}
