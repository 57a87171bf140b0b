//! The stack that a supervised function takes which calls itself: row 12.

// Compiled here, as a program compiles its own functions.
#[allow(unreachable_pub, reason = "it is public in the testkit")]
#[path = "../../../tests/testkit/src/recursion.rs"]
mod recursion;

use crate::{
    report::{self, Goal},
    spread::Ratio,
};

pub(crate) fn run() {
    report::row(12, "bytes of the stack for each level of a boxed recursion");
    let plain = recursion::bytes_of_a_level(recursion::plain) as f64;
    report::bytes("plain", plain);
    let calls: [(&str, fn(_, _) -> _); 4] = [
        ("supervised", recursion::boxed),
        ("supervised, with err_into", recursion::converted),
        ("supervised, with restart", recursion::restarting),
        ("supervised, with both", recursion::both),
    ];
    for (name, call) in calls {
        let bytes = recursion::bytes_of_a_level(call) as f64;
        report::bytes(name, bytes);
        report::ratio(
            &format!("{name}, to plain"),
            &Ratio::exactly(bytes / plain),
            Goal::AtMost(2.0),
        );
    }
}
