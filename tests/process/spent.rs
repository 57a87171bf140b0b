//! The grace and its parts.

use std::time::{Duration, Instant};

use crate::{MAINS, start};
use testkit::program::{Program, SIGINT, SIGTERM, SIGUSR1, SLACK};

const SPENT: &str = "spent";
const LINGERS: &str = "lingers";
const SPENT_GRACE: Duration = Duration::from_secs(1);
const LINGER: Duration = Duration::from_secs(2);
const LINGERS_GRACE: Duration = Duration::from_secs(3);

#[test]
fn a_spent_grace_exits_with_75_and_names_running_tasks() {
    let mut program = start(SPENT, "two are deaf");
    program.wait_for("READY");
    let sent = Instant::now();
    let ended = program.send(SIGTERM).end();
    let took = sent.elapsed();
    assert!(took >= SPENT_GRACE && took < SPENT_GRACE + SLACK, "{took:?}");
    let ended = ended.with_code(75).with_stderr(
        "The grace of 1s expired before all tasks stopped; exiting with code 75. Still running:\n",
    );
    ended.with_stderr("\nmain  ").with_stderr("\n├─ deaf (task ").with_stderr("\n└─ deaf (task ");
}

#[test]
fn sigusr1_prints_the_live_tasks_and_the_process_continues() {
    let mut program = start(SPENT, "two are deaf");
    program.wait_for("READY").send(SIGUSR1).send(SIGUSR1).send(SIGTERM);
    let ended = program.end().with_code(75);
    let (asked, spent) = ended.stderr.split_once("The grace of 1s expired ").expect("both");
    assert!(asked.starts_with("Live tasks of process "), "{asked}");
    for line in ["\nmain  ", "\n├─ deaf (task ", "\n└─ deaf (task "] {
        assert!(asked.contains(line) && spent.contains(line), "{asked}{spent}");
    }
    assert!(!asked.contains("deaf: "), "both are in the tree: {asked}");
}

#[test]
fn a_run_that_is_awaited_inline_is_a_line_below_the_tree() {
    let mut program = start(SPENT, "a call is deaf");
    let ended = program.wait_for("READY").send(SIGTERM).end().with_code(75);
    ended.with_stderr("\nmain  ").with_stderr("\ndeaf: 1 running, 0 waiting, defined at ");
}

#[test]
fn a_sigusr1_after_a_print_prints_again() {
    let mut program = start(SPENT, "two are deaf");
    let stderr = program.take_stderr();
    program.wait_for("READY");
    for _ in 0..2 {
        // A signal during a print is answered by that print.
        let printed = || stderr.recv_timeout(Duration::from_millis(100));
        while !printed().is_ok_and(|line| line.starts_with("Live tasks of process ")) {
            program.send(SIGUSR1);
        }
    }
    program.send(SIGTERM).end().with_code(75);
}

#[test]
fn a_body_that_blocks_its_thread_does_not_stop_the_clock() {
    let mut program = start(SPENT, "blocks");
    program.wait_for("READY");
    let sent = Instant::now();
    program.send(SIGINT).end().with_code(75).with_stderr("\nmain  polling for ");
    assert!(sent.elapsed() >= SPENT_GRACE, "{:?}", sent.elapsed());
}

#[test]
fn the_grace_of_main_ends_a_shielded_section() {
    let mut program = start(SPENT, "shielded for longer");
    program.wait_for("READY");
    let sent = Instant::now();
    program.send(SIGTERM).end().with_code(75).with_stderr("\n└─ shielded (task ");
    assert!(sent.elapsed() >= SPENT_GRACE, "{:?}", sent.elapsed());
}

#[test]
fn a_spent_grace_needs_no_stderr_to_end_the_process() {
    let mut program = Program::start_without_stderr(MAINS, "spent: two are deaf");
    program.wait_for("READY").send(SIGTERM).end().with_code(75);
}

#[test]
fn a_blocked_report_is_ended() {
    let mut program = start(SPENT, "reports for ever");
    program.wait_for("READY").send(SIGTERM).wait_for("REPORTING");
    // The report blocks stderr: nothing can be printed.
    program.end().with_code(75);
}

#[test]
fn the_token_fires_after_the_linger() {
    let mut program = start(LINGERS, "obeys");
    program.wait_for("READY");
    let sent = Instant::now();
    program.send(SIGTERM).wait_for("CANCELLED");
    assert!(sent.elapsed() >= LINGER, "{:?}", sent.elapsed());
    program.end().with_code(0);
}

#[test]
fn the_linger_is_part_of_the_grace() {
    let mut program = start(LINGERS, "never stops");
    program.wait_for("READY");
    let sent = Instant::now();
    program.send(SIGTERM).wait_for("CANCELLED");
    let signalled = Instant::now();
    program.end().with_code(75);
    assert!(sent.elapsed() >= LINGERS_GRACE, "{:?}", sent.elapsed());
    // A linger in addition to the grace would leave all of the grace here.
    assert!(signalled.elapsed() < LINGERS_GRACE, "{:?}", signalled.elapsed());
}
