//! A process may run one main after the other: the running one handles the signals.

use crate::start;
use testkit::program::SIGTERM;

const TWICE: &str = "twice";

#[test]
fn a_finished_main_does_not_end_the_next_one() {
    let mut program = start(TWICE, "obeys late");
    program.wait_for("READY").send(SIGTERM).wait_for("CANCELLED");
    program.end().with_code(5);
}

#[test]
fn a_grace_without_end_leaves_the_second_signal() {
    let mut program = start(TWICE, "never stops");
    program.wait_for("READY").send(SIGTERM).wait_for("CANCELLED").send(SIGTERM);
    program.end().with_code(143);
}
