//! Work that the body of a main leaves in a pool.

use std::time::{Duration, Instant};

use crate::start;
use testkit::program::{SIGINT, SIGTERM, SLACK};

const POOLS: &str = "pools";
const SHORT_GRACE: Duration = Duration::from_secs(1);

/// Ends long before the grace of 40 s.
const AT_ONCE: Duration = Duration::from_secs(15);

/// The place of a spawn of the program under test.
const PLACE: &str = "spawned at tests/process/programs/pools.rs:";

#[test]
fn work_in_a_static_pool_is_finished_on_either_runtime() {
    for flavor in ["long", "long on one thread"] {
        let mut program = start(POOLS, &format!("{flavor}: finishes"));
        program.wait_for("READY").close_stdin();
        program.end().with_code(0).with_stdout("DONE\n");
    }
}

#[test]
fn a_pool_that_another_task_holds_is_finished_too() {
    let mut program = start(POOLS, "long: is leaked in a task");
    program.wait_for("READY").close_stdin();
    program.end().with_code(0).with_stdout("DONE\n");
}

#[test]
fn a_pool_dropped_during_the_drain_is_finished_too() {
    let mut program = start(POOLS, "long: is dropped while it drains");
    program.wait_for("LET GO").close_stdin();
    program.end().with_code(0).with_stdout("DONE\n");
}

#[test]
fn an_idle_pool_costs_no_time() {
    let started = Instant::now();
    start(POOLS, "long: is idle").end().with_code(0);
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
}

#[test]
fn a_body_cancelled_by_a_signal_dies_by_it_after_the_drain() {
    let mut program = start(POOLS, "long: is cancelled");
    program.wait_for("READY").send(SIGTERM).close_stdin();
    program.end().by_signal(SIGTERM).with_stdout("DONE\n");
}

#[test]
fn a_task_that_does_not_stop_exits_with_75_and_is_named() {
    for flavor in ["short", "short on one thread"] {
        let started = Instant::now();
        let ended = start(POOLS, &format!("{flavor}: is deaf")).end().with_code(75);
        assert!(started.elapsed() >= SHORT_GRACE, "{:?}", started.elapsed());
        let ended = ended
            .with_stderr(
                "Some tasks of pools did not finish; exiting with code 75:\n1 task did not stop within 1s:\n  deaf (task ",
            )
            .with_stderr("): stopping, ")
            .with_stderr(PLACE);
        assert_eq!(ended.stderr.matches("  deaf (task ").count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn the_error_of_the_body_is_printed_before_the_list() {
    let mut program = start(POOLS, "short: is deaf, and the body fails");
    let ended = program.end().with_code(75);
    let at = |wanted| ended.stderr.find(wanted).expect("the task is cancelled");
    assert!(at("Error: the disk is full") < at("  deaf (task "), "{}", ended.stderr);
}

#[test]
fn a_report_that_blocks_does_not_hold_the_exit() {
    let mut program = start(POOLS, "short: is deaf, and the report blocks");
    let started = Instant::now();
    // It blocks stderr: nothing can be printed.
    program.wait_for("REPORTING").end().with_code(75);
    assert!(started.elapsed() < SHORT_GRACE + SLACK, "{:?}", started.elapsed());
}

#[test]
fn a_cancelled_body_exits_with_75_if_the_drain_fails() {
    let mut program = start(POOLS, "short: is deaf, and the body is cancelled");
    let ended = program.wait_for("READY").send(SIGINT).end().with_code(75);
    assert_eq!(ended.stderr.matches("  deaf (task ").count(), 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains("Error"), "it was requested: {}", ended.stderr);
}

#[test]
fn an_error_of_the_body_is_reported_if_the_drain_fails() {
    let mut program = start(POOLS, "short: is deaf, and the body fails on cancel");
    let ended = program.wait_for("READY").send(SIGINT).end().with_code(75);
    ended.with_stderr("Error: the disk is full").with_stderr("  deaf (task ");
}

#[test]
fn a_task_that_blocks_its_worker_does_not_delay_the_exit() {
    for flavor in ["short", "short on one thread"] {
        let started = Instant::now();
        let mut program = start(POOLS, &format!("{flavor}: blocks"));
        let ended = program.wait_for("READY").end().with_code(75);
        assert!(started.elapsed() < SHORT_GRACE + SLACK, "{:?}", started.elapsed());
        let ended = ended.with_stderr(" (blocks its worker), ").with_stderr(PLACE);
        assert_eq!(ended.stderr.matches("  blocks (task ").count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn a_task_outside_of_all_pools_cannot_hold_the_exit() {
    let started = Instant::now();
    let body = "short on one thread: finishes, and a task blocks the thread";
    let mut program = start(POOLS, body);
    let ended = program.wait_for("READY").end().with_code(75);
    let ended = ended
        .with_stderr("The grace of 1s expired while a task blocked the main thread; ")
        .with_stderr("blocks: 1 running");
    assert!(!ended.stderr.contains("tasks of pools"), "{}", ended.stderr);
    assert!(started.elapsed() < SHORT_GRACE + SLACK, "{:?}", started.elapsed());
}

#[test]
fn a_closure_that_holds_its_thread_is_reported() {
    let mut program = start(POOLS, "short: has a thread");
    let ended = program.wait_for("READY").end().with_code(75);
    ended.with_stderr("  holds (task ").with_stderr("): blocking for ").with_stderr(PLACE);
}

#[test]
fn a_second_signal_ends_a_drain() {
    for flavor in ["long", "long on one thread"] {
        let body = format!("{flavor}: is deaf, and says when it drains");
        let mut program = start(POOLS, &body);
        program.wait_for("READY").send(SIGINT).wait_for("DRAINING").send(SIGTERM);
        let sent = Instant::now();
        program.end().with_code(143);
        assert!(sent.elapsed() < AT_ONCE, "{:?}", sent.elapsed());
    }
}

#[test]
fn a_spent_grace_names_the_tasks_of_pools_too() {
    let mut program = start(POOLS, "short: is deaf, and so is the body");
    let ended = program.wait_for("READY").send(SIGTERM).end().with_code(75);
    ended
        .with_stderr("The grace of 1s expired ")
        .with_stderr("\ndeaf (task ")
        .with_stderr("tests/process/programs/pools.rs:");
}

#[test]
fn an_error_with_an_unfinished_source_exits_with_75() {
    let mains =
        ["short: is deaf, and drained by the body", "boxed: ", "io: ", "plain: ", "transparent: "];
    for main in mains {
        let ended = start(POOLS, main).end().with_code(75);
        let ended = ended
            .with_stderr("1 task did not stop within 200ms:")
            .with_stderr("  deaf (task ")
            .with_stderr("): stopping, ")
            .with_stderr(PLACE);
        assert_eq!(ended.stderr.matches("deaf (task ").count(), 1, "{main}: {}", ended.stderr);
        assert!(!ended.stderr.contains("LiveTask"), "{main}: {}", ended.stderr);
    }
    let body = "short: is deaf, and drained by a body that adds to the error";
    let ended = start(POOLS, body).end().with_code(75);
    ended.with_stderr("Error: saving").with_stderr("1 task did not stop within 200ms:");
}

#[test]
fn a_body_that_receives_unfinished_decides_the_exit() {
    let body = "short: is deaf, and drained by a body that makes do";
    let ended = start(POOLS, body).end().with_code(0);
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_drain_in_the_body_ends_before_the_grace_of_main() {
    for (when, ready) in [("after the signal", "READY"), ("when the signal comes", "DRAINING")] {
        let mut program = start(POOLS, &format!("short: is deaf, and drained {when}"));
        program.wait_for(ready).send(SIGTERM);
        let ended = program.end().with_code(75);
        // Main reports the error of the body, and not that its own grace is spent.
        let ended = ended.with_stderr("1 task did not stop within ").with_stderr("  deaf (task ");
        assert!(!ended.stderr.contains("The grace of"), "{when}: {}", ended.stderr);
        assert!(!ended.stderr.contains("within 60s"), "{when}: {}", ended.stderr);
    }
}

#[test]
fn a_pool_that_is_first_used_while_main_drains_is_drained_too() {
    for flavor in ["long", "long on one thread"] {
        let mut program = start(POOLS, &format!("{flavor}: uses another"));
        program.wait_for("ACCEPTED").close_stdin();
        program.end().with_code(0).with_stdout("DONE\n");
    }
}

#[test]
fn work_lost_with_the_runtime_exits_with_75() {
    for flavor in ["short", "short on one thread"] {
        let body = format!("{flavor}: is used by a drop with the runtime");
        let ended = start(POOLS, &body).end().with_code(75);
        ended
            .with_stderr("Some tasks of pools did not finish; exiting with code 75:\n  never")
            .with_stderr(PLACE);
    }
}
