//! What the body of a main leaves in a pool.

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
fn work_in_a_static_pool_is_finished_after_the_body_on_either_runtime() {
    for flavor in ["long", "long on one thread"] {
        let mut program = start(POOLS, &format!("{flavor}: finishes"));
        program.wait_for("READY").close_stdin();
        program.end().with_code(0).that_printed("DONE\n");
    }
}

#[test]
fn work_in_a_pool_that_another_task_holds_is_finished_too() {
    let mut program = start(POOLS, "long: is leaked in a task");
    program.wait_for("READY").close_stdin();
    program.end().with_code(0).that_printed("DONE\n");
}

#[test]
fn work_in_a_pool_whose_last_handle_is_dropped_during_the_drain_is_finished_too() {
    let mut program = start(POOLS, "long: is let go while it is drained");
    program.wait_for("LET GO").close_stdin();
    program.end().with_code(0).that_printed("DONE\n");
}

#[test]
fn an_idle_pool_costs_no_time() {
    let begun = Instant::now();
    start(POOLS, "long: is idle").end().with_code(0);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
}

#[test]
fn a_body_that_was_cancelled_by_a_signal_dies_by_it_after_the_drain() {
    let mut program = start(POOLS, "long: is cancelled");
    program.wait_for("READY").send(SIGTERM).close_stdin();
    program.end().by_signal(SIGTERM).that_printed("DONE\n");
}

#[test]
fn a_task_that_does_not_stop_ends_with_75_and_is_named_with_its_place() {
    for flavor in ["short", "short on one thread"] {
        let begun = Instant::now();
        let ended = start(POOLS, &format!("{flavor}: is deaf")).end().with_code(75);
        assert!(begun.elapsed() >= SHORT_GRACE, "{:?}", begun.elapsed());
        let ended = ended
            .that_told(
                "The pools could not be drained.\n1 task did not stop within 1s:\n  deaf (task ",
            )
            .that_told("): stopping, ")
            .that_told(PLACE);
        assert_eq!(ended.stderr.matches("  deaf (task ").count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn the_error_of_the_body_is_printed_before_the_list() {
    let mut program = start(POOLS, "short: is deaf, and the body fails");
    let ended = program.end().with_code(75);
    let at = |wanted| ended.stderr.find(wanted).expect("it is told");
    assert!(at("Error: the disk is full") < at("  deaf (task "), "{}", ended.stderr);
}

#[test]
fn a_report_that_blocks_does_not_hold_the_exit() {
    let mut program = start(POOLS, "short: is deaf, and the report blocks");
    let begun = Instant::now();
    // It holds stderr: nothing can be told.
    program.wait_for("REPORTING").end().with_code(75);
    assert!(begun.elapsed() < SHORT_GRACE + SLACK, "{:?}", begun.elapsed());
}

#[test]
fn a_body_that_was_cancelled_ends_with_75_where_the_drain_fails() {
    let mut program = start(POOLS, "short: is deaf, and the body is cancelled");
    let ended = program.wait_for("READY").send(SIGINT).end().with_code(75);
    assert_eq!(ended.stderr.matches("  deaf (task ").count(), 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains("Error"), "it was asked for: {}", ended.stderr);
}

#[test]
fn a_body_that_fails_when_it_is_told_to_stop_says_so_where_the_drain_fails() {
    let mut program = start(POOLS, "short: is deaf, and the body fails when it is told");
    let ended = program.wait_for("READY").send(SIGINT).end().with_code(75);
    ended.that_told("Error: the disk is full").that_told("  deaf (task ");
}

#[test]
fn a_task_that_blocks_its_worker_is_told_so_and_the_exit_does_not_wait_for_it() {
    for flavor in ["short", "short on one thread"] {
        let begun = Instant::now();
        let mut program = start(POOLS, &format!("{flavor}: blocks"));
        let ended = program.wait_for("READY").end().with_code(75);
        assert!(begun.elapsed() < SHORT_GRACE + SLACK, "{:?}", begun.elapsed());
        let ended = ended.that_told(" (blocks its worker), ").that_told(PLACE);
        assert_eq!(ended.stderr.matches("  blocks (task ").count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn a_task_outside_of_all_pools_cannot_hold_the_exit() {
    let begun = Instant::now();
    let body = "short on one thread: finishes, and a task blocks the thread";
    let mut program = start(POOLS, body);
    let ended = program.wait_for("READY").end().with_code(75);
    let ended = ended
        .that_told("The grace of 1s is spent: a task blocks the thread of main.")
        .that_told("blocks: 1 running");
    assert!(!ended.stderr.contains("could not be drained"), "{}", ended.stderr);
    assert!(begun.elapsed() < SHORT_GRACE + SLACK, "{:?}", begun.elapsed());
}

#[test]
fn a_closure_that_holds_its_thread_is_told_so() {
    let mut program = start(POOLS, "short: has a thread");
    let ended = program.wait_for("READY").end().with_code(75);
    ended.that_told("  holds (task ").that_told("): blocking for ").that_told(PLACE);
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
        .that_told("The grace of 1s is spent.")
        .that_told("\ndeaf (task ")
        .that_told("tests/process/programs/pools.rs:");
}

#[test]
fn an_error_that_carries_an_unfinished_ends_with_75_and_prints_as_text() {
    let mains =
        ["short: is deaf, and drained by the body", "boxed: ", "io: ", "plain: ", "transparent: "];
    for main in mains {
        let ended = start(POOLS, main).end().with_code(75);
        let ended = ended
            .that_told("1 task did not stop within 200ms:")
            .that_told("  deaf (task ")
            .that_told("): stopping, ")
            .that_told(PLACE);
        assert_eq!(ended.stderr.matches("deaf (task ").count(), 1, "{main}: {}", ended.stderr);
        assert!(!ended.stderr.contains("LiveTask"), "{main}: {}", ended.stderr);
    }
    let body = "short: is deaf, and drained by a body that adds to the error";
    let ended = start(POOLS, body).end().with_code(75);
    ended.that_told("Error: saving").that_told("1 task did not stop within 200ms:");
}

#[test]
fn a_body_that_was_given_what_did_not_finish_decides_the_exit() {
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
        // Main reports the body's error, and not that its own grace is spent.
        let ended = ended.that_told("1 task did not stop within ").that_told("  deaf (task ");
        assert!(!ended.stderr.contains("The grace of"), "{when}: {}", ended.stderr);
        assert!(!ended.stderr.contains("within 60s"), "{when}: {}", ended.stderr);
    }
}

#[test]
fn a_pool_that_is_first_used_while_main_drains_is_drained_too() {
    for flavor in ["long", "long on one thread"] {
        let mut program = start(POOLS, &format!("{flavor}: uses another"));
        program.wait_for("ACCEPTED").close_stdin();
        program.end().with_code(0).that_printed("DONE\n");
    }
}

#[test]
fn work_that_is_lost_with_the_runtime_ends_with_75() {
    for flavor in ["short", "short on one thread"] {
        let body = format!("{flavor}: is used by what is dropped with the runtime");
        let ended = start(POOLS, &body).end().with_code(75);
        ended.that_told("The pools could not be drained.\n  never").that_told(PLACE);
    }
}
