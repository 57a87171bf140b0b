//! SIGKILL: at-least-once processing.

use std::{fs, os::unix::process::ExitStatusExt};

use nix::sys::signal::Signal;

use super::orders::{Many, Orders, offsets};
use testkit::random::Random;

const KILLS: usize = 20;
const WORKERS: usize = 8;

#[test]
fn killed_at_twenty_random_moments_it_loses_no_message() {
    let mut random = Random::from_environment();
    let many = Many::new();
    let orders = Orders::new(&many.queue);

    for kills_left in (1..=KILLS).rev() {
        // It follows the queue, so it does not end by itself, however late the signal arrives. With `--sync` the
        // moment between the two records of a message is long enough to be hit.
        let sync = (kills_left % 2 == 0).then_some("--sync");
        let mut program = orders.start(["--work-ms", "1", "--follow"].into_iter().chain(sync));
        let before = orders.count("orders.acknowledged");
        // At most half of an even share: there is work left for each of the others.
        let more = random.below((Many::MESSAGES - before) / (2 * kills_left) + 1);
        orders.wait_for("orders.acknowledged", before + more);
        program.signal(Signal::SIGKILL);
        let ended = program.end();
        assert_eq!(ended.status.signal(), Some(9), "{ended:?}");
    }
    let ended = orders.start([]).end();

    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let counts = many.counts(&orders);
    assert!(counts.iter().all(|&count| count >= 1), "a message is lost");
    let again = counts.iter().sum::<usize>() - Many::MESSAGES;
    eprintln!("{again} of {} were processed again", Many::MESSAGES);
    // Messages that were processed but not acknowledged yet.
    assert!(again <= KILLS * WORKERS, "{again} were processed again");
    let acknowledged = orders.records("orders.acknowledged");
    assert!(acknowledged.values().all(|&count| count == 1), "acknowledged and processed again");
    let mut expected = offsets(&many.queue);
    expected.sort();
    assert!(acknowledged.into_keys().eq(expected), "exactly the offsets of the queue");
}

#[test]
fn the_torn_last_record_of_each_file_is_cut_off_and_redone() {
    let queue = "1 2 20\n2 0 20\n3 2 60\n";
    let orders = Orders::new(queue);
    let write = |name, text| fs::write(orders.path(name), text).unwrap();
    // The third message was acknowledged at its offset of 14: the torn record belongs to no message.
    write("orders.acknowledged", "0\n1");
    write("orders.done", "1 10\n3 3");
    write("orders.dead", "7\ttask `item price` pan");

    let ended = orders.start([]).end();

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(orders.read("orders.done"), "1 10\n3 30\n");
    assert_eq!(orders.dead().into_iter().collect::<Vec<_>>(), [("2 0 20".to_owned(), 1)]);
    let acknowledged: Vec<_> = orders.records("orders.acknowledged").into_iter().collect();
    assert_eq!(acknowledged, [("0".to_owned(), 1), ("14".to_owned(), 1), ("7".to_owned(), 1)]);
}
