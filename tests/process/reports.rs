//! The result of a body decides how the process ends.

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
fn an_exit_code_in_a_result_is_the_exit_code() {
    let path = "result_code";
    start(path, "nine").end().with_code(9);
    let ended = start(path, "else").end().with_code(1);
    assert_eq!(ended.stderr, "Error: Bad { reason: \"no such code\" }\n");
}

#[test]
fn a_custom_termination_reports_itself() {
    start("custom_code", "").end().with_code(42).with_stdout("the score is 42\n");
}

#[test]
fn a_panic_exits_with_101_after_one_call_of_the_hook() {
    for (path, body) in [(TOKEN, "panic"), (PLAIN, "panics")] {
        let ended = start(path, body).end().with_code(101).with_stderr("panicked at");
        assert_eq!(ended.stderr.matches("the body is broken").count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn a_cancellation_without_a_signal_is_an_error() {
    for body in ["cancels itself", "cancels its child token"] {
        start(TOKEN, body).end().with_code(1).with_stderr("`never`");
    }
}

#[test]
fn tasks_left_by_the_body_do_not_delay_the_exit() {
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
fn a_panic_on_a_thread_outside_of_all_runs_is_reported() {
    let ended = start(TOKEN, "panics beside its runs").end().with_code(0);
    let ended = ended.with_stderr("panicked at ");
    ended.with_stderr("tests/process/programs/token.rs:").with_stderr("beside");
}
