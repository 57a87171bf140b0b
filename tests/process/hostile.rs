//! The user's subscriber, a standard stream, a report: none of them holds the exit.

use std::time::{Duration, Instant};

use crate::start;
use testkit::program::SIGTERM;

const TOKEN: &str = "token";

/// Long before the grace of 20 s.
const SOON: Duration = Duration::from_secs(15);

#[test]
fn a_subscriber_that_blocks_or_panics_does_not_swallow_the_signal() {
    for body in ["a subscriber that blocks", "a subscriber that panics"] {
        let mut program = start(TOKEN, body);
        program.wait_for("READY").send(SIGTERM);
        let sent = Instant::now();
        program.end().by_signal(SIGTERM);
        assert!(sent.elapsed() < SOON, "{body}: {:?}", sent.elapsed());
    }
}

#[test]
fn a_stdout_that_cannot_be_flushed_does_not_hold_the_exit() {
    let mut program = start(TOKEN, "stdout is locked for good");
    program.wait_for("READY").send(SIGTERM);
    let sent = Instant::now();
    program.end().by_signal(SIGTERM);
    assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
}

#[test]
fn an_error_whose_report_blocks_is_cut_short_by_a_second_signal() {
    let mut program = start(TOKEN, "an error whose report blocks");
    program.wait_for("READY").send(SIGTERM).wait_for("REPORTING").send(SIGTERM);
    let sent = Instant::now();
    program.end().with_code(143);
    assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
}

/// No second thread gets through `std::process::exit`, and there is no going on without it.
#[test]
fn a_program_that_hangs_in_an_exit_of_its_own_is_ended_by_a_second_signal() {
    let mut program = start(TOKEN, "an exit of its own that hangs");
    program.wait_for("READY").send(SIGTERM).wait_for("TOLD").send(SIGTERM);
    let sent = Instant::now();
    program.end().with_code(143);
    assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
}
