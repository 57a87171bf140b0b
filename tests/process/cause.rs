//! A supervised function knows which signal cancelled it, wherever it runs.

use crate::start;
use testkit::program::{SIGINT, SIGTERM};

#[test]
fn the_cause_of_a_cancellation_is_the_signal() {
    for place in ["main", "a group", "map", "a bare task"] {
        for (signal, cause) in [(SIGTERM, "Signal(Terminate)\n"), (SIGINT, "Signal(Interrupt)\n")] {
            let body = format!("cause in {place}");
            let mut program = start("token", &body);
            program.wait_for("READY").send(signal);
            program.end().with_code(0).with_stdout(cause);
        }
    }
}
