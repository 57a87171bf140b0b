//! Services under real signals: while they start, restart and stop, and what the process ends with.

use std::time::{Duration, Instant};

use crate::start;
use testkit::program::{SIGINT, SIGTERM, SIGUSR1, SLACK};

const SERVICES: &str = "services";
/// The grace of its main, less what a body is left to return.
const LEFT: Duration = Duration::from_millis(2_500);

#[test]
fn a_signal_stops_services_in_reverse_and_exits_with_0() {
    for signal in [SIGINT, SIGTERM] {
        let mut program = start(SERVICES, "nested");
        program.wait_for("READY").send(signal);
        program.wait_for("STOPPED cache").wait_for("STOPPED store");
        program.end().with_code(0);
    }
}

#[test]
fn a_signal_during_the_start_stops_what_has_started() {
    let mut program = start(SERVICES, "starts");
    program.wait_for("READY").send(SIGTERM).wait_for("STOPPED store");
    let ended = program.end().with_code(0);
    assert!(!ended.stdout.contains("LATE"), "{}", ended.stdout);
}

#[test]
fn a_signal_during_a_step_is_what_the_process_ends_with() {
    let mut program = start(SERVICES, "step");
    program.wait_for("READY").send(SIGTERM).wait_for("STOPPED store");
    program.end().by_signal(SIGTERM);
}

#[test]
fn a_signal_during_a_restart_is_orderly() {
    let mut program = start(SERVICES, "restarts");
    program.wait_for("READY").send(SIGTERM);
    program.end().with_code(0);
}

#[test]
fn a_second_signal_during_the_stop_ends_the_process() {
    let mut program = start(SERVICES, "stubborn");
    program.wait_for("READY").send(SIGTERM).wait_for("STOPPING").send(SIGTERM);
    program.end().with_code(128 + 15);
}

#[test]
fn a_service_that_does_not_stop_is_named_and_exits_with_75() {
    let mut program = start(SERVICES, "stubborn");
    program.wait_for("READY");
    let sent = Instant::now();
    program.send(SIGTERM).wait_for("STOPPED store");
    let ended = program.end().with_code(75);
    // A second less than is left, for the one that stops after it.
    let took = sent.elapsed();
    assert!(took >= LEFT - Duration::from_secs(1) && took < LEFT + SLACK, "{took:?}");
    let ended = ended.with_stderr("Error: service `consumer` did not stop in time");
    ended.with_stderr("stubborn (task ").with_stderr(", service consumer): stopping");
}

#[test]
fn a_service_that_blocks_its_thread_is_named_and_exits_with_75() {
    let mut program = start(SERVICES, "blocked");
    program.wait_for("READY").send(SIGTERM).wait_for("STOPPED store");
    let ended = program.end().with_code(75);
    ended.with_stderr("Error: service `consumer` did not stop in time").with_stderr("polling for");
}

#[test]
fn a_failure_stops_the_others_and_exits_with_1() {
    let mut program = start(SERVICES, "fails");
    let ended = program.wait_for("STOPPED store").end().with_code(1);
    ended.with_stderr("Error: service `consumer` failed").with_stderr("no disk");
    let mut program = start(SERVICES, "panics");
    let ended = program.wait_for("STOPPED store").end().with_code(1);
    ended.with_stderr("Error: service `consumer` failed").with_stderr("broken");
}

#[test]
fn what_does_not_stop_after_a_failure_exits_with_75() {
    let ended = start(SERVICES, "fails and is stubborn").end().with_code(75);
    ended.with_stderr("service `consumer` did not stop in time; service `bad` failed: no disk");
}

#[test]
fn sigusr1_names_the_services() {
    let mut program = start(SERVICES, "nested");
    let lines = program.take_stderr();
    program.wait_for("READY").send(SIGUSR1);
    let mut awaited = vec![", service store)", ", service api/cache)", ", service api/http)"];
    while !awaited.is_empty() {
        let line = lines.recv_timeout(SLACK).expect("the tree names every service");
        awaited.retain(|text| !line.contains(text));
    }
    program.send(SIGTERM).wait_for("STOPPED store").end().with_code(0);
}
