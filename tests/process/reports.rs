//! What a body returns is what the process ends with.

use std::time::Instant;

use crate::start;
use testkit::program::SLACK;

const TOKEN: &str = "token";
const PLAIN: &str = "plain";

#[test]
fn a_body_that_returns_nothing_exits_with_0() {
    let ended = start(PLAIN, "returns").end().with_code(0);
    assert_eq!(ended.stderr, "");
}

#[test]
fn ok_exits_with_0() {
    let ended = start(TOKEN, "ok").end().with_code(0);
    assert_eq!(ended.stderr, "");
}

#[test]
fn err_exits_with_1_and_prints_the_error() {
    let ended = start(TOKEN, "error").end().with_code(1);
    assert_eq!(ended.stderr, "Error: the disk is full\n");
}

#[test]
fn an_exit_code_is_the_exit_code() {
    start("exit_code", "").end().with_code(7);
}

#[test]
fn a_result_of_an_exit_code_gives_either() {
    let path = "result_code";
    start(path, "nine").end().with_code(9);
    let ended = start(path, "else").end().with_code(1);
    assert_eq!(ended.stderr, "Error: Bad { reason: \"no such code\" }\n");
}

#[test]
fn a_termination_of_the_authors_own_reports_itself() {
    start("custom_code", "").end().with_code(42).that_printed("the score is 42\n");
}

#[test]
fn a_panic_exits_with_101_after_the_hook_has_spoken_once() {
    for (path, body) in [(TOKEN, "panic"), (PLAIN, "panics")] {
        let ended = start(path, body).end().with_code(101).that_told("panicked at");
        assert_eq!(ended.stderr.matches("the body is broken").count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn a_cancellation_that_no_signal_caused_is_an_error_like_any_other() {
    for body in ["cancels itself", "cancels a child of its own"] {
        start(TOKEN, body).end().with_code(1).that_told("`never`");
    }
}

#[test]
fn what_the_body_leaves_behind_does_not_hold_the_exit() {
    let current = "current_thread";
    for (path, body) in [
        (TOKEN, "leaves a task"),
        (TOKEN, "leaves a blocking thread"),
        (TOKEN, "leaves a task that blocks its worker"),
        (current, "leaves a task whose drop blocks"),
    ] {
        let mut program = start(path, body);
        program.wait_for("READY");
        let ready = Instant::now();
        program.end().with_code(0);
        assert!(ready.elapsed() < SLACK, "{body}: {:?}", ready.elapsed());
    }
}

#[test]
fn a_panic_on_a_thread_that_has_left_all_runs_is_reported_as_ever() {
    let ended = start(TOKEN, "panics beside its runs").end().with_code(0);
    let ended = ended.that_told("panicked at ");
    ended.that_told("tests/process/programs/token.rs:").that_told("beside");
}
