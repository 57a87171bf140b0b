//! One signal: it cancels the body, whose result decides how the process ends.

use std::{process::Command, time::Instant};

use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::{MAINS, start};
use testkit::program::{Ended, Program, SIGINT, SIGTERM, SLACK, Signal};

const TOKEN: &str = "token";
const PLAIN: &str = "plain";
const CURRENT: &str = "current_thread";

fn signalled(path: &str, body: &str, signal: Signal) -> Ended {
    let mut program = start(path, body);
    program.wait_for("READY").send(signal);
    let sent = Instant::now();
    let ended = program.end();
    assert!(sent.elapsed() < SLACK, "{body}: {:?}", sent.elapsed());
    ended
}

#[test]
fn a_body_that_returns_ok_after_a_signal_exits_with_0() {
    for signal in [SIGINT, SIGTERM] {
        signalled(TOKEN, "obeys", signal).with_code(0);
    }
}

#[test]
fn a_body_that_returns_its_cancellation_dies_by_the_signal() {
    for signal in [SIGINT, SIGTERM] {
        signalled(TOKEN, "cancelled", signal).by_signal(signal).with_stdout("half a line");
        signalled(TOKEN, "cancelled with context", signal).by_signal(signal);
        signalled(CURRENT, "cancelled", signal).by_signal(signal);
    }
}

#[test]
fn an_error_or_panic_after_the_signal_decides_the_exit() {
    signalled(TOKEN, "fails on its way down", SIGTERM).with_code(1).with_stderr("the flush failed");
    signalled(TOKEN, "panics on its way down", SIGTERM)
        .with_code(101)
        .with_stderr("the flush is broken");
}

#[test]
fn a_main_without_a_token_is_dropped_at_its_next_await() {
    for signal in [SIGINT, SIGTERM] {
        for body in ["waits", "waits between two"] {
            signalled(PLAIN, body, signal).by_signal(signal).with_stdout("dropped");
        }
    }
}

#[test]
fn a_main_without_a_token_is_dropped_after_its_shielded_section() {
    let mut program = start(PLAIN, "waits in a section");
    program.wait_for("READY").send(SIGTERM).wait_for("HEARD").close_stdin().wait_for("COMMITTED");
    program.end().by_signal(SIGTERM).with_stdout("dropped");
}

#[test]
fn a_signal_before_the_first_await_takes_effect_at_it() {
    let mut program = start(PLAIN, "blocks before its first await");
    program.wait_for("READY").send(SIGTERM).close_stdin().wait_for("UNBLOCKED");
    program.end().by_signal(SIGTERM).with_stdout("dropped");
}

#[test]
fn a_panic_in_the_drop_of_a_cancelled_main_exits_with_101() {
    signalled(PLAIN, "panics when dropped", SIGTERM)
        .with_code(101)
        .with_stderr("the drop is broken");
}

/// Signals have no default action for the first process of a container.
#[test]
#[ignore = "needs user namespaces"]
#[cfg(target_os = "linux")]
fn pid_1_exits_with_128_and_the_signal() {
    let namespace = ["--user", "--map-root-user", "--pid", "--fork", "--kill-child"];
    let unshare = |program: &str| {
        let mut command = Command::new("unshare");
        command.args(namespace).arg(program);
        command
    };
    let mut program = Program::spawn(unshare(MAINS).arg("token: cancelled"));
    program.wait_for("READY");
    let unshare = program.id();
    let children = std::fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"));
    let inner: i32 = children.unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(inner), SIGTERM).unwrap();
    program.end().with_code(143).with_stdout("half a line");
}
