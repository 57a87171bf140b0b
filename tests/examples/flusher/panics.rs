//! Flushes that panic.

use nix::sys::signal::Signal;

use super::program::{Counts, Flusher, endless, wait_for};

#[test]
fn a_panic_in_a_flush_is_counted_and_the_loop_continues() {
    let fed = endless();
    let flusher = Flusher::new();
    let mut program = flusher.start(["--every", "2ms", "--panic-on", "1,3,4"]);
    program.feed_beside(fed.clone());
    wait_for(&mut program, "flush 8 ended");
    program.signal(Signal::SIGTERM);
    let ended = program.end();

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let counts = flusher.has_what_was_read(&fed, &ended);
    assert_eq!((counts.panicked, counts.failed, counts.restarts), (3, 0, 3));
    for number in [1, 3, 4] {
        assert!(ended.stderr.contains(&format!("flush {number} was to panic")), "{ended:#?}");
    }
}

#[test]
fn a_last_flush_that_panics_is_tried_again() {
    let flusher = Flusher::new();
    // Only the first tick occurs: the first flush panics, of either caller, and perhaps the last.
    let mut program = flusher.start(["--every", "60m", "--panic-on", "1,2"]);
    program.feed("one\ntwo\n");
    let ended = program.close_stdin().end();

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(flusher.output(), "one\ntwo\n");
    let counts = Counts::of(&ended);
    assert_eq!((counts.read, counts.written, counts.panicked), (2, 2, 2));
}

#[test]
fn a_flush_that_panics_during_the_stop_is_repeated() {
    let flusher = Flusher::new();
    let mut program = flusher.start(["--every", "2ms", "--flush-ms", "300", "--panic-on", "1"]);
    program.feed("one\n");
    wait_for(&mut program, "flush 1 starts");
    // The reader sees the end of the input first.
    let ended = program.close_stdin().end();

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(flusher.output(), "one\n");
    let counts = Counts::of(&ended);
    assert_eq!((counts.read, counts.written, counts.panicked), (1, 1, 1));
}

#[test]
fn after_too_many_restarts_it_reports_it_and_loses_nothing() {
    let fed = endless();
    let flusher = Flusher::new();
    let mut program = flusher.start(["--every", "2ms", "--panic-on", "1,2,3,4,5,6"]);
    program.feed_beside(fed.clone());
    let ended = program.end();

    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("Error: gave up after 5 restarts"), "{ended:#?}");
    assert!(ended.stderr.contains("flush 6 was to panic"), "{ended:#?}");
    let counts = flusher.has_what_was_read(&fed, &ended);
    assert_eq!((counts.panicked, counts.failed, counts.restarts), (6, 0, 5));
}

#[test]
fn if_the_last_flush_fails_too_it_reports_lost_lines() {
    let flusher = Flusher::new();
    let numbers: Vec<_> = (1..=20).map(|number: u32| number.to_string()).collect();
    let mut program = flusher.start(["--every", "60m", "--panic-on", &numbers.join(",")]);
    program.feed("one\n");
    let ended = program.close_stdin().end();

    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("Error: what is left in memory is lost"), "{ended:#?}");
    let counts = Counts::of(&ended);
    assert_eq!((counts.read, counts.written), (1, 0));
}
