//! `Main`, and which signals start a shutdown.

use std::{process::Command, sync::Once, time::Duration};

use tokio::signal::unix::{SignalKind, signal};

use testkit::program::{Program, SIGINT, SIGTERM, SIGUSR1, Signal};

use crate::{MAINS, start};

/// Starts programs with the default action of SIGHUP, also if these tests run under `nohup`: a signal that is caught here has
/// its default action in a program that is started.
fn with_default_sighup() {
    static CAUGHT: Once = Once::new();
    CAUGHT.call_once(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.expect("a runtime can be built");
        let caught = runtime.block_on(async { signal(SignalKind::hangup()).map(drop) });
        caught.expect("SIGHUP can be caught");
    });
}

fn ready(body: &str) -> Program {
    let mut program = start("configured", body);
    program.wait_for("READY");
    program
}

#[test]
fn a_call_that_returns_after_the_signal_exits_with_0() {
    for signal in [SIGINT, SIGTERM] {
        let mut program = ready("obeys");
        program.send(signal);
        program.end().with_code(0);
    }
}

#[test]
fn a_cancellation_in_the_error_of_a_program_dies_by_the_signal() {
    let mut program = ready("cancelled");
    program.send(SIGTERM);
    program.end().by_signal(SIGTERM);
}

#[test]
fn an_error_is_printed_and_a_panic_exits_with_101() {
    start("configured", "fails").end().with_code(1).with_stderr("Disk");
    start("configured", "panics").end().with_code(101).with_stderr("the app is broken");
    let broken = start("configured", "broken closure").end();
    broken.with_code(101).with_stderr("the closure is broken");
}

#[test]
fn an_unfinished_in_an_error_of_the_program_exits_with_75() {
    start("configured", "drains").end().with_code(75).with_stderr("Left");
}

#[test]
fn a_call_that_does_not_stop_within_its_grace_exits_with_75() {
    let mut program = ready("stubborn");
    program.send(SIGTERM);
    program.end().with_code(75);
}

#[test]
fn the_token_fires_after_the_linger() {
    let mut program = ready("lingers");
    let sent = std::time::Instant::now();
    program.send(SIGTERM).wait_for("CANCELLED");
    assert!(sent.elapsed() >= Duration::from_secs(1), "{:?}", sent.elapsed());
    program.end().with_code(0);
}

#[test]
fn a_runtime_of_the_program_is_used() {
    start("configured", "named").end().with_code(0).with_stdout("own-runtime\n");
}

#[test]
fn a_main_without_a_dump_leaves_sigusr1_to_the_program() {
    let mut program = ready("own dump");
    program.send(SIGUSR1).wait_for("ASKED");
    let ended = program.end().with_code(0);
    assert!(!ended.stderr.contains("Live tasks"), "{}", ended.stderr);
}

#[test]
fn sighup_is_left_to_the_system_unless_it_is_asked_for() {
    with_default_sighup();
    let mut program = start("token", "obeys");
    program.wait_for("READY").send(Signal::SIGHUP);
    program.end().by_signal(Signal::SIGHUP);
}

#[test]
fn the_attribute_catches_sighup_if_it_is_asked_to() {
    with_default_sighup();
    let mut program = ready("attribute obeys");
    program.send(Signal::SIGHUP);
    program.end().with_code(0);
    let mut program = ready("attribute cancelled");
    program.send(Signal::SIGHUP);
    program.end().by_signal(Signal::SIGHUP);
}

#[test]
fn a_main_that_catches_only_sighup_leaves_sigterm_alone() {
    with_default_sighup();
    let mut program = ready("hangup");
    program.send(SIGTERM);
    program.end().by_signal(SIGTERM);
    let mut program = ready("hangup");
    program.send(Signal::SIGHUP);
    program.end().with_code(0);
}

/// As under `nohup`.
#[test]
#[cfg(target_os = "linux")]
fn a_sighup_that_was_ignored_at_the_start_stays_ignored() {
    with_default_sighup();
    let script = r#"trap "" HUP; exec "$0" "configured: attribute obeys""#;
    let mut program = Program::spawn(Command::new("sh").args(["-c", script, MAINS]));
    program.wait_for("READY").send(Signal::SIGHUP);
    // Signals of different kinds have no order: the first is handled, or discarded, by now.
    program.send(SIGTERM);
    program.end().with_code(0);
}
