//! Tests that run in a separate process: they may exhaust memory, descriptors or the stack, or abort.
//!
//! A fixture is an ignored test (`#[ignore = "fixture of another test"]`) that another test runs by its full path.

use std::{
    process::{Command, Output, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::watchdog::WATCHDOG;

/// The command that runs one fixture of the calling test binary.
pub fn command(fixture: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", fixture, "--ignored", "--nocapture", "--test-threads", "1"])
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null());
    command
}

/// Runs a fixture. The process is killed after [`WATCHDOG`].
pub fn child(fixture: &str) -> Output {
    child_with(fixture, "0")
}

/// The same with a value of `RUST_BACKTRACE`.
pub fn child_with(fixture: &str, backtrace: &str) -> Output {
    let child = command(fixture)
        .env("RUST_BACKTRACE", backtrace)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    let (ended, has_ended) = channel::<()>();
    let watchdog = thread::spawn(move || {
        if has_ended.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout) {
            _ = kill(pid, Signal::SIGKILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    watchdog.join().unwrap();
    output
}

/// Runs a fixture that must pass. Returns its standard output.
#[track_caller]
pub fn child_passes(fixture: &str) -> String {
    passed(fixture, &child(fixture))
}

/// Fails unless the fixture ran and passed. Returns its standard output.
#[track_caller]
pub fn passed(fixture: &str, output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}: {stdout}\n{stderr}", output.status);
    assert!(stdout.contains("1 passed"), "no fixture `{fixture}`: {stdout}");
    stdout
}
