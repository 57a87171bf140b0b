//! The messages of a program under `#[supervised::main]` to systemd, as received on a service manager's socket.

mod manager;

use std::{process::Command, time::Duration};

use crate::MAINS;
use manager::Manager;
use testkit::program::{Program, SIGTERM};

const BEAT: &str = "WATCHDOG=1\n";

/// Grace of the program, and the time that its exit may take after its body.
const STOPPING: &str = "STOPPING=1\nEXTEND_TIMEOUT_USEC=10500000\n";

#[test]
fn a_service_is_ready_only_after_it_says_so() {
    let manager = Manager::new();
    let mut program = manager.start("serves");
    program.wait_for("BEGUN");
    assert!(manager.pending_messages().is_empty());
    program.close_stdin().wait_for("READY");
    assert_eq!(manager.pending_messages(), ["READY=1\n"]);
}

#[test]
fn services_are_ready_when_all_of_them_are() {
    let manager = Manager::new();
    let mut program = manager.start("services");
    program.wait_for("BEGUN");
    assert!(manager.pending_messages().is_empty());
    program.close_stdin();
    assert_eq!(manager.next_message(), "READY=1\n");
    program.send(SIGTERM);
    program.end().with_code(0);
    assert_eq!(manager.pending_messages(), [STOPPING]);
}

#[test]
fn the_first_signal_announces_the_stop_and_its_time_limit_once() {
    let manager = Manager::new();
    let mut program = manager.start("serves");
    program.close_stdin().wait_for("READY").send(SIGTERM);
    program.end().with_code(0);
    assert_eq!(manager.pending_messages(), ["READY=1\n", STOPPING]);
}

#[test]
fn a_body_with_unfinished_pools_announces_the_stop_at_its_end() {
    let manager = Manager::new();
    let mut program = manager.start("leaves work in a pool");
    assert_eq!(manager.next_message(), STOPPING);
    program.end().with_code(0);
    assert!(manager.pending_messages().is_empty());
}

#[test]
fn the_watchdog_is_notified_at_half_its_interval() {
    let (manager, half) = (Manager::new(), Duration::from_millis(200));
    let mut program = manager.start_watched("serves", 2 * half);
    program.close_stdin().wait_for("READY");
    for _ in 0..4 {
        while manager.next_message() != BEAT {}
    }
    let count = manager.count_within(10 * half);
    assert!((1..=11).contains(&count), "{count} notifications in ten times half its interval");
}

#[test]
fn the_watchdog_is_not_notified_if_all_workers_are_blocked() {
    let (manager, half) = (Manager::new(), Duration::from_millis(50));
    let mut program = manager.start_watched("blocks its worker", 2 * half);
    program.wait_for("BLOCKED");
    // Messages that were in flight when the worker was blocked.
    manager.count_within(10 * half);
    assert_eq!(manager.count_within(20 * half), 0);
    program.close_stdin().wait_for("FREE");
    assert_eq!(manager.next_message(), BEAT);
}

#[test]
fn the_watchdog_is_notified_while_pools_are_drained() {
    let (manager, half) = (Manager::new(), Duration::from_millis(50));
    let mut program = manager.start_watched("leaves work in a pool", 2 * half);
    while manager.next_message() != STOPPING {}
    assert_eq!(manager.next_message(), BEAT);
    program.end().with_code(0);
}

#[test]
fn a_watchdog_for_another_process_is_not_notified() {
    let manager = Manager::new();
    let mut command = manager.command("serves");
    let mut program =
        Program::spawn(command.env("WATCHDOG_USEC", "100000").env("WATCHDOG_PID", "1"));
    program.close_stdin().wait_for("READY");
    assert_eq!(manager.next_message(), "READY=1\n");
    assert_eq!(manager.count_within(Duration::from_millis(500)), 0);
}

#[test]
fn a_program_runs_without_a_service_manager() {
    let mut command = Command::new(MAINS);
    let mut program = Program::spawn(
        command.arg("systemd: serves").env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC"),
    );
    program.close_stdin().wait_for("READY").send(SIGTERM);
    program.end().with_code(0);
}

#[test]
fn ready_fails_if_the_service_manager_is_gone() {
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
