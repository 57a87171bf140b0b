//! SIGTERM between and during flushes.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use nix::sys::signal::Signal;

use super::program::{Counts, Flusher, endless, wait_for};
use testkit::random::Random;

const ROUNDS: usize = 20;

/// And more, by a margin, than its reader reads ahead.
const MORE_THAN_A_PIPE: usize = 80_000;

/// Each in a separate program, four at a time.
fn rounds(round: impl Fn(Random) + Sync) {
    let mut random = Random::from_environment();
    let forks = Mutex::new((0..ROUNDS).map(|_| random.fork()).collect::<Vec<_>>());
    let next = || forks.lock().unwrap_or_else(PoisonError::into_inner).pop();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(random) = next() {
                    round(random);
                }
            });
        }
    });
}

#[test]
fn stopped_during_twenty_flushes_it_loses_no_line() {
    let fed = endless();
    rounds(|mut random| {
        let flusher = Flusher::new();
        let mut program = flusher.start(["--every", "2ms", "--flush-ms", "20"]);
        program.feed_beside(fed.clone());
        let number = 1 + random.below(8);
        wait_for(&mut program, &format!("flush {number} starts"));
        program.signal(Signal::SIGTERM);
        let ended = program.end();

        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert!(ended.stdout.contains(&format!("flush {number} ended\n")), "{ended:?}");
        let counts = flusher.has_what_was_read(&fed, &ended);
        assert!(counts.read > 0);
        assert_eq!((counts.panicked, counts.failed, counts.restarts), (0, 0, 0));
    });
}

#[test]
fn stopped_between_twenty_flushes_it_loses_no_line() {
    let fed = endless();
    rounds(|mut random| {
        let flusher = Flusher::new();
        let mut program = flusher.start(["--every", "200ms"]);
        let mut fed_lines = 0;
        for flush in 1..=1 + random.below(3) {
            let lines = 1 + random.below(100);
            let fed = fed.split_inclusive('\n').skip(fed_lines).take(lines);
            program.feed(&fed.collect::<String>());
            fed_lines += lines;
            wait_for(&mut program, &format!("flush {flush} ended"));
        }
        // The next tick is far away. More than a pipe holds: once it is written, some of it has been read.
        let fed_bytes: usize = fed.split_inclusive('\n').take(fed_lines).map(str::len).sum();
        program.feed(&fed[fed_bytes..][..MORE_THAN_A_PIPE]);
        program.signal(Signal::SIGTERM);
        let ended = program.end();

        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let counts = flusher.has_what_was_read(&fed, &ended);
        assert!(counts.read > fed_lines, "{counts:?}");
    });
}

#[test]
fn random_stops_with_a_panicking_flush_lose_no_line() {
    let fed = endless();
    rounds(|mut random| {
        let flusher = Flusher::new();
        let panics = (1 + random.below(6)).to_string();
        let flush_ms = random.below(6).to_string();
        let arguments = ["--every", "2ms", "--flush-ms", &flush_ms, "--panic-on", &panics];
        let mut program = flusher.start(arguments);
        program.feed_beside(fed.clone());
        for _ in 0..=random.below(12) {
            program.next_line();
        }
        program.signal(Signal::SIGTERM);
        let ended = program.end();

        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let counts = flusher.has_what_was_read(&fed, &ended);
        // The panicking flush may be the last of its loop: no other may follow it then.
        assert!(counts.restarts <= counts.panicked && counts.panicked <= 1, "{counts:?}");
    });
}

#[test]
fn stopped_before_the_first_line_it_ends() {
    let flusher = Flusher::new();
    let mut program = flusher.start([]);
    program.signal(Signal::SIGTERM);
    let ended = program.end();

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let none = Counts { read: 0, written: 0, panicked: 0, failed: 0, restarts: 0 };
    assert_eq!(Counts::of(&ended), none);
    assert_eq!(flusher.output(), "");
}
