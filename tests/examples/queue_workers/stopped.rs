//! SIGTERM: exactly-once processing.

use std::{fs::OpenOptions, io::Write};

use nix::sys::signal::Signal;

use super::orders::{Many, Orders, offsets};
use testkit::random::Random;

const STOPS: usize = 20;

#[test]
fn random_stops_process_each_message_exactly_once() {
    let mut random = Random::from_environment();
    let many = Many::new();
    let orders = Orders::new(&many.queue);

    for stops_left in (1..=STOPS).rev() {
        let before = orders.count("orders.acknowledged");
        // It follows, so that it does not end by itself, however late the signal comes.
        let mut program = orders.start(["--work-ms", "1", "--follow"]);
        let more = random.below((Many::MESSAGES - before) / (2 * stops_left) + 1);
        orders.wait_for("orders.acknowledged", before + more);
        program.signal(Signal::SIGTERM);
        let ended = program.end();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let taken = orders.count("orders.acknowledged") - before;
        let said = ended.stdout.lines().last().unwrap();
        assert!(said.starts_with(&format!("{taken} taken:")), "{said}");
        assert!(said.ends_with(&format!(" 0 cut short, {taken} acknowledged")), "{said}");
    }
    let ended = orders.start([]).end();

    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(many.counts(&orders).iter().all(|&count| count == 1), "each exactly once");
    let mut expected = offsets(&many.queue);
    expected.sort();
    let acknowledged = orders.records("orders.acknowledged");
    assert!(acknowledged.values().all(|&count| count == 1));
    assert!(acknowledged.into_keys().eq(expected));
}

#[test]
fn claimed_messages_are_finished_and_no_more_are_claimed() {
    let queue: String = (0..100).map(|order| format!("{order} 1 {order}\n")).collect();
    let orders = Orders::new(queue);
    let mut program = orders.start(["--workers", "4", "--work-ms", "400"]);
    // The four that follow are under way, or about to be, and take longer than the signal.
    orders.wait_for("orders.acknowledged", 4);
    program.signal(Signal::SIGTERM);
    let ended = program.end();

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let taken = orders.count("orders.done");
    assert!((4..=12).contains(&taken), "{ended:#?}");
    assert!(ended.stdout.contains(&format!("{taken} taken: {taken} done,")), "{ended:#?}");
}

#[test]
fn a_follower_takes_complete_lines_and_stops_on_request() {
    let orders = Orders::new("1 2 20\n2 2 4");
    let mut program = orders.start(["--follow"]);
    orders.wait_for("orders.done", 1);
    let mut queue = OpenOptions::new().append(true).open(orders.path("orders")).unwrap();
    queue.write_all(b"0\n3 2 60\n").unwrap();
    orders.wait_for("orders.done", 3);
    orders.wait_for("orders.acknowledged", 3);
    program.signal(Signal::SIGTERM);
    let ended = program.end();

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let done: Vec<_> = orders.records("orders.done").into_keys().collect();
    assert_eq!(done, ["1 10", "2 20", "3 30"]);
}
