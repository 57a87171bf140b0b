//! The `tracing` events of a main: each is logged once.

use crate::start;
use testkit::program::SIGTERM;

const EVENTS: &str = "events";

const SHUTTING_DOWN: &str = "INFO message=shutting down: received SIGTERM signal=SIGTERM grace=1s";

/// The lines of events.
fn events(stdout: &str) -> Vec<&str> {
    stdout.lines().filter(|line| *line != "READY").collect()
}

#[test]
fn a_signal_is_one_info_event() {
    let ended = start(EVENTS, "obeys").wait_for("READY").send(SIGTERM).end().with_code(0);
    assert_eq!(events(&ended.stdout), [SHUTTING_DOWN]);
}

#[test]
fn a_spent_grace_is_one_error_event_with_the_running_tasks() {
    let mut program = start(EVENTS, "has a deaf task");
    let ended = program.wait_for("READY").send(SIGTERM).end().with_code(75);
    let [SHUTTING_DOWN, spent] = events(&ended.stdout)[..] else { panic!("{}", ended.stdout) };
    let list = spent.strip_prefix(
        "ERROR message=the grace of 1s expired before all tasks stopped: exiting with code 75 ",
    );
    let list = list.unwrap_or_else(|| panic!("{spent}"));
    assert!(list.starts_with("grace=1s unfinished=\"task "), "{list}");
    assert!(list.contains("\\n└─ deaf (task "), "{list}");
}

#[test]
fn a_spent_grace_logs_the_counted_failures() {
    let mut program = start(EVENTS, "has a deaf task and many failures");
    let ended = program.wait_for("READY").send(SIGTERM).end().with_code(75);
    let failures: Vec<_> =
        events(&ended.stdout).into_iter().filter(|line| line.contains("fails late")).collect();
    assert_eq!(failures.len(), 11, "{}", ended.stdout);
    assert!(failures[10].contains(" failures=2 "), "{}", failures[10]);
}

#[test]
fn a_subscriber_of_level_info_has_the_span_of_each_task() {
    let mut program = start(EVENTS, "has a deaf task, and shows spans");
    let ended = program.wait_for("READY").send(SIGTERM).end().with_code(75);
    let mut spans = ended.stdout.lines().filter(|line| line.starts_with("SPAN "));
    assert!(spans.any(|span| span.contains("deaf")), "{}", ended.stdout);
}

#[test]
fn a_failed_drain_is_one_warning_and_one_error_event() {
    let ended = start(EVENTS, "leaves a deaf pool").end().with_code(75);
    let [drained, undrained] = events(&ended.stdout)[..] else { panic!("{}", ended.stdout) };
    let names = drained.contains(" unfinished=\"deaf (task ") && !drained.contains(" cut=");
    assert!(drained.starts_with("WARN ") && names, "{drained}");
    assert!(undrained.starts_with("ERROR "), "{undrained}");
    assert!(
        undrained.contains(" unfinished=\"1 task did not stop within 1s:\\n  deaf (task "),
        "{undrained}"
    );
}

#[test]
fn a_blocked_subscriber_hides_no_unfinished_task() {
    for (left, named) in [("a deaf pool", "deaf"), ("a closure that blocks", "holds")] {
        let body = format!("leaves {left}, and its warning never returns");
        let ended = start(EVENTS, &body).end().with_code(75);
        let list =
            format!("Some tasks of pools did not finish; exiting with code 75:\n  {named} (task ");
        assert_eq!(ended.stderr.matches(&list).count(), 1, "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("(task ").count(), 1, "{}", ended.stderr);
    }
}
