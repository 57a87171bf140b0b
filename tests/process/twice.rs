//! A process may run one main after the other: the running one handles the signals.

use testkit::program::{Program, SIGTERM};

const TWICE: &str = env!("CARGO_BIN_EXE_main_twice");

#[test]
fn a_finished_main_does_not_end_the_next_one() {
    let mut program = Program::start(TWICE, "obeys late");
    program.wait_for("READY").send(SIGTERM).wait_for("TOLD");
    program.end().with_code(5);
}

#[test]
fn a_grace_without_end_leaves_the_second_signal() {
    let mut program = Program::start(TWICE, "never stops");
    program.wait_for("READY").send(SIGTERM).wait_for("TOLD").send(SIGTERM);
    program.end().with_code(143);
}
