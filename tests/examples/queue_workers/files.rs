//! Invalid and unusable files.

use std::fs;

use super::orders::Orders;
use testkit::program::Program;

#[test]
fn a_missing_queue_is_named() {
    let place = tempfile::tempdir().unwrap();
    let ended = Program::example("queue_workers", place.path(), ["missing"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("cannot open `missing`"), "{ended:#?}");
}

#[test]
fn an_invalid_offset_file_is_refused_at_the_start() {
    let orders = Orders::new("1 2 20\n");
    fs::write(orders.path("orders.acknowledged"), "0\nnot an offset\n").unwrap();
    let ended = Program::example("queue_workers", orders.place(), ["orders"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("`orders.acknowledged` is no list of offsets"), "{ended:#?}");
    assert_eq!(orders.read("orders.done"), "");
}

#[test]
fn a_blocked_output_leaves_the_messages_for_the_next_start() {
    let orders = Orders::new("1 2 20\n2 2 40\n");
    // Every write to it fails: no space is left on it.
    let ended = orders.start(["--output", "/dev/full"]).end();
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert!(ended.stdout.contains("2 taken: 2 done, "), "{ended:#?}");
    assert!(ended.stdout.ends_with(" 0 acknowledged\n"), "{ended:#?}");
    assert_eq!(orders.read("orders.acknowledged"), "");

    let ended = orders.start(["--output", "prices", "--sync"]).end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(orders.count("prices"), 2);
    assert_eq!(orders.read("orders.done"), "");
}
