//! A task that hangs is named with the line that it hangs at, from outside of the process.

use testkit::program::{SIGTERM, SIGUSR1};

use crate::start;

const FILE: &str = "tests/process/programs/hangs.rs";
const SOURCE: &str = include_str!("programs/hangs.rs");

/// The place of the line below the comment of a task.
fn place(task: &str) -> String {
    let comment = format!("// hangs: {task}");
    let line = SOURCE.lines().position(|line| line.trim() == comment).expect("the comment exists");
    format!("{FILE}:{}", line + 2)
}

/// Sends SIGUSR1 while a body hangs, until the tree has a line with each of these pairs.
fn prints(body: &str, expected: &[(&str, String)]) {
    let mut program = start("hangs", body);
    let stderr = program.take_stderr();
    program.wait_for("READY").send(SIGUSR1);
    let mut missing = expected.to_vec();
    let mut printed = String::new();
    while !missing.is_empty() {
        let Ok(line) = stderr.recv() else { panic!("{missing:?} is not in\n{printed}") };
        missing.retain(|(task, place)| !(line.starts_with(task) && line.contains(place)));
        printed += &format!("{line}\n");
    }
    program.send(SIGTERM).end();
}

/// Each of the tasks waits at its line.
fn names(body: &str, tasks: &[&str]) {
    let expected: Vec<_> = tasks.iter().map(|task| (*task, place(task))).collect();
    prints(body, &expected);
}

#[test]
fn a_lock_held_across_an_await_is_named() {
    names("a lock", &["holder", "locker"]);
}

#[test]
fn a_full_channel_is_named() {
    names("a full channel", &["producer"]);
}

#[test]
fn a_select_whose_branches_all_wait_is_named() {
    names("a select", &["selector"]);
}

#[test]
fn a_cycle_of_two_tasks_is_named() {
    names("a cycle", &["left", "right"]);
}

#[test]
fn a_forgotten_wake_up_is_named() {
    names("a forgotten wake-up", &["sleeper"]);
}

#[test]
fn a_call_that_hangs_is_named_with_its_caller() {
    let chain = format!("handle {} → store {}, ", place("handle"), place("store"));
    prints("a call", &[("handle", chain)]);
}

#[test]
fn many_tasks_at_one_line_are_counted() {
    prints("many", &[("… 30 × connection", place("connection"))]);
}

#[test]
fn an_exit_with_75_names_the_line() {
    let mut program = start("hangs", "ignores its token");
    let ended = program.wait_for("READY").send(SIGTERM).end().with_code(75);
    ended.with_stderr(&format!("waits at {} for ", place("deaf")));
}
