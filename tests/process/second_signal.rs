//! A second signal ends the process at once, in any state.

use std::time::{Duration, Instant};

use crate::start;
use testkit::program::{Ended, Program, SIGINT, SIGTERM, Signal};

const TOKEN: &str = "token";
const CURRENT: &str = "current_thread";
const LINGERS: &str = "lingers";

/// Ends long before the grace of 20 s.
const AT_ONCE: Duration = Duration::from_secs(12);

fn exits_at_once(program: &mut Program, second: Signal) {
    program.send(second);
    let sent = Instant::now();
    program.end().with_code(128 + second as i32);
    assert!(sent.elapsed() < AT_ONCE, "{:?}", sent.elapsed());
}

/// Signals that are sent without a pause may be caught in either order.
fn exits_at_either(program: &mut Program) -> Ended {
    program.send(SIGINT).send(SIGTERM);
    let sent = Instant::now();
    let ended = program.end();
    assert!(matches!(ended.status.code(), Some(130 | 143)), "{}", ended.status);
    assert!(sent.elapsed() < AT_ONCE, "{:?}", sent.elapsed());
    ended
}

#[test]
fn a_second_signal_ends_a_body_that_does_not_stop() {
    for (first, second) in
        [(SIGTERM, SIGTERM), (SIGINT, SIGINT), (SIGINT, SIGTERM), (SIGTERM, SIGINT)]
    {
        let mut program = start(TOKEN, "never stops");
        program.wait_for("READY").send(first).wait_for("CANCELLED");
        exits_at_once(&mut program, second);
    }
}

#[test]
fn a_second_signal_ends_a_body_that_blocks_the_only_thread() {
    let mut program = start(CURRENT, "parks");
    program.wait_for("READY").send(SIGINT).wait_for("CANCELLED");
    exits_at_once(&mut program, SIGINT);
}

#[test]
fn two_kinds_of_signal_are_always_two_signals() {
    let mut program = start(CURRENT, "reads");
    exits_at_either(program.wait_for("READY"));
}

#[test]
fn a_second_signal_ends_a_process_that_lingers() {
    let mut program = start(LINGERS, "obeys");
    let ended = exits_at_either(program.wait_for("READY"));
    assert!(!ended.stdout.contains("CANCELLED"), "{}", ended.stdout);
}
