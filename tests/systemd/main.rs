//! What a program under `#[supervised::main]` tells systemd, as a service manager's socket hears it.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "../process/child.rs"]
#[expect(dead_code, unused_imports, reason = "no test target uses all of it")]
mod child;
mod manager;

use std::{process::Command, time::Duration};

use child::{Program, SIGTERM};
use manager::Manager;

const BEAT: &str = "WATCHDOG=1\n";

/// Grace of the program, and what its exit may take after its body.
const STOPPING: &str = "STOPPING=1\nEXTEND_TIMEOUT_USEC=10500000\n";

#[test]
fn a_service_is_ready_when_it_says_so_and_no_sooner() {
    let manager = Manager::new();
    let mut program = manager.start("serves");
    program.wait_for("BEGUN");
    assert!(manager.has_heard().is_empty());
    program.close_stdin().wait_for("READY");
    assert_eq!(manager.has_heard(), ["READY=1\n"]);
}

#[test]
fn services_are_ready_when_all_of_them_are() {
    let manager = Manager::new();
    let mut program = manager.start("services");
    program.wait_for("BEGUN");
    assert!(manager.has_heard().is_empty());
    program.close_stdin();
    assert_eq!(manager.hears(), "READY=1\n");
    program.send(SIGTERM);
    program.end().with_code(0);
    assert_eq!(manager.has_heard(), [STOPPING]);
}

#[test]
fn the_first_signal_tells_once_that_it_stops_and_how_long_that_may_take() {
    let manager = Manager::new();
    let mut program = manager.start("serves");
    program.close_stdin().wait_for("READY").send(SIGTERM);
    program.end().with_code(0);
    assert_eq!(manager.has_heard(), ["READY=1\n", STOPPING]);
}

#[test]
fn a_body_that_leaves_work_behind_tells_that_it_stops_when_it_ends() {
    let manager = Manager::new();
    let mut program = manager.start("leaves work in a pool");
    assert_eq!(manager.hears(), STOPPING);
    program.end().with_code(0);
    assert!(manager.has_heard().is_empty());
}

#[test]
fn the_watchdog_hears_a_runtime_that_turns_over_at_half_its_interval_and_no_more_often() {
    let (manager, half) = (Manager::new(), Duration::from_millis(200));
    let mut program = manager.start_watched("serves", 2 * half);
    program.close_stdin().wait_for("READY");
    for _ in 0..4 {
        while manager.hears() != BEAT {}
    }
    let heard = manager.count_within(10 * half);
    assert!((1..=11).contains(&heard), "{heard} in ten times half its interval");
}

#[test]
fn the_watchdog_hears_nothing_of_a_runtime_whose_workers_are_all_blocked() {
    let (manager, half) = (Manager::new(), Duration::from_millis(50));
    let mut program = manager.start_watched("blocks its worker", 2 * half);
    program.wait_for("BLOCKED");
    // What was on its way when the worker was taken.
    manager.count_within(10 * half);
    assert_eq!(manager.count_within(20 * half), 0);
    program.close_stdin().wait_for("FREE");
    assert_eq!(manager.hears(), BEAT);
}

#[test]
fn the_watchdog_hears_a_program_that_drains_its_pools() {
    let (manager, half) = (Manager::new(), Duration::from_millis(50));
    let mut program = manager.start_watched("leaves work in a pool", 2 * half);
    while manager.hears() != STOPPING {}
    assert_eq!(manager.hears(), BEAT);
    program.end().with_code(0);
}

#[test]
fn a_watchdog_for_another_process_hears_nothing() {
    let manager = Manager::new();
    let mut command = manager.command("serves");
    let mut program =
        Program::spawn(command.env("WATCHDOG_USEC", "100000").env("WATCHDOG_PID", "1"));
    program.close_stdin().wait_for("READY");
    assert_eq!(manager.hears(), "READY=1\n");
    assert_eq!(manager.count_within(Duration::from_millis(500)), 0);
}

#[test]
fn without_a_service_manager_it_runs_as_ever() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_main_systemd"));
    let mut program = Program::spawn(
        command.arg("serves").env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC"),
    );
    program.close_stdin().wait_for("READY").send(SIGTERM);
    program.end().with_code(0);
}

#[test]
fn a_service_manager_that_is_gone_is_an_error_where_the_service_gets_ready() {
    let manager = Manager::new();
    let mut command = manager.command("serves");
    let mut program = Program::spawn(command.env("NOTIFY_SOCKET", "/nowhere/notify"));
    program.close_stdin();
    program.end().with_code(1);
}

#[test]
fn ready_fails_if_the_manager_does_not_read() {
    let manager = Manager::new();
    let mut program = manager.start("serves");
    program.wait_for("BEGUN");
    manager.stop_reading();
    program.close_stdin();
    program.end().with_code(1);
}

#[test]
fn a_manager_that_does_not_read_does_not_hold_the_exit() {
    let manager = Manager::new();
    let mut program = manager.start_watched("serves", Duration::from_millis(100));
    program.close_stdin().wait_for("READY");
    manager.stop_reading();
    program.send(SIGTERM);
    program.end().with_code(0);
}
