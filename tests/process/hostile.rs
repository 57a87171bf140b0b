//! No subscriber, standard stream or report of the user blocks the exit.

use std::time::{Duration, Instant};

use crate::start;
use testkit::program::SIGTERM;

const TOKEN: &str = "token";

/// Long before the grace of 20 s.
const SOON: Duration = Duration::from_secs(15);

#[test]
fn a_subscriber_that_blocks_or_panics_keeps_the_signal() {
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
fn a_second_signal_ends_a_blocked_error_report() {
    let mut program = start(TOKEN, "an error whose report blocks");
    program.wait_for("READY").send(SIGTERM).wait_for("REPORTING").send(SIGTERM);
    let sent = Instant::now();
    program.end().with_code(143);
    assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
}

/// No second thread gets through `std::process::exit`, and the process cannot end without it.
#[test]
fn a_second_signal_ends_a_program_that_hangs_in_exit() {
    let mut program = start(TOKEN, "hangs in exit");
    program.wait_for("READY").send(SIGTERM).wait_for("CANCELLED").send(SIGTERM);
    let sent = Instant::now();
    program.end().with_code(143);
    assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
}
