//! Polls that block their worker are reported while they last.

use std::{thread, time::Duration};

use crate::start;
use testkit::program::{Program, Signal};

const BLOCKED: &str = "blocked";

/// The next line of standard output that starts with this.
#[track_caller]
fn next(program: &mut Program, start: &str) -> String {
    loop {
        let line = program.next_line();
        if line.starts_with(start) {
            return line;
        }
    }
}

#[test]
fn a_blocking_read_is_one_warning_and_one_call_while_it_lasts() {
    let mut program = start(BLOCKED, "a read");
    let warning = next(program.wait_for("READY"), "WARN ");
    let start = "WARN message=task `reader` [stdin] spawned at ";
    assert!(warning.starts_with(start), "{warning}");
    for part in [
        "programs/blocked.rs:",
        "has blocked its thread for ",
        " since its `.await` at ",
        " blocked=",
        " task.id=",
    ] {
        assert!(warning.contains(part), "no {part} in {warning}");
    }
    assert!(!cfg!(target_os = "linux") || warning.contains(" thread.id="), "{warning}");
    let called = next(&mut program, "CALLED ");
    assert!(called.starts_with("CALLED reader [stdin] (task "), "{called}");
    assert!(called.contains("polling for "), "{called}");
    program.feed("\n");
    let ended = program.end().with_code(0);
    assert_eq!(ended.stdout.matches("WARN ").count(), 1, "{}", ended.stdout);
    assert!(ended.stdout.contains("slow: [(\"reader\", 1)]"), "{}", ended.stdout);
}

#[test]
fn the_body_of_main_is_reported() {
    let mut program = start(BLOCKED, "attribute");
    let warning = next(program.wait_for("READY"), "WARN ");
    assert!(warning.contains("has blocked its thread for "), "{warning}");
    program.feed("\n");
    let ended = program.end().with_code(0);
    assert!(ended.stdout.contains("slow: [(\"attribute\", 1)]"), "{}", ended.stdout);
}

#[test]
fn a_blocking_closure_is_not_reported() {
    let mut program = start(BLOCKED, "a closure on its own thread");
    // The spinner was reported: the closure, which is older, would have been.
    program.wait_for("SPUN").feed("\n");
    let ended = program.end().with_code(0);
    assert!(ended.stdout.contains("slow: [(\"app\", 1)]"), "{}", ended.stdout);
}

#[test]
fn nothing_is_reported_if_it_is_turned_off() {
    for body in ["nothing is watched", "off"] {
        let ended = start(BLOCKED, body).end().with_code(0);
        assert!(ended.stdout.contains("slow: []"), "{}", ended.stdout);
        assert!(!ended.stdout.contains("WARN "), "{}", ended.stdout);
    }
}

#[test]
fn the_time_in_which_the_process_was_stopped_does_not_count() {
    let mut program = start(BLOCKED, "stopped");
    program.wait_for("READY").send(Signal::SIGSTOP);
    // Longer than its limit of 2 s.
    #[expect(clippy::disallowed_methods, reason = "a process that is stopped for some time")]
    thread::sleep(Duration::from_secs(4));
    program.send(Signal::SIGCONT).feed("\n");
    let ended = program.end().with_code(0);
    assert!(ended.stdout.contains("slow: []"), "{}", ended.stdout);
}
