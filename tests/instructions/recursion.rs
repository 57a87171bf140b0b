//! Stack use of a recursive supervised function, compared with a plain one, in an optimized build.
//!
//! ```text
//! cargo run --release -p supervised-instructions --bin recursion
//! ```
//!
//! `tests/spec/composition/depth.rs` measures the same without optimization.

use std::process::ExitCode;

// Compiled here, as a program compiles its own functions: in another crate, each frame is up to 20 bytes larger.
#[allow(unreachable_pub, reason = "it is public in the testkit")]
#[path = "../testkit/src/recursion.rs"]
mod recursion;

/// The bytes that a level may take besides those of a plain one. A plain level of this function takes about a hundred: a
/// call halves the depth of a recursion at most.
const MOST_ADDED: usize = 116;

fn main() -> ExitCode {
    if cfg!(debug_assertions) {
        eprintln!("error: only an optimized build is measured (`--release`)");
        return ExitCode::FAILURE;
    }
    let plain = recursion::bytes_of_a_level(recursion::plain);
    println!("{:24}{plain:6} bytes of the stack for each level", "plain");
    let calls: [(&str, fn(_, _) -> _); 4] = [
        ("supervised", recursion::boxed),
        ("with err_into", recursion::converted),
        ("with restart", recursion::restarting),
        ("with both", recursion::both),
    ];
    let mut status = ExitCode::SUCCESS;
    for (name, call) in calls {
        let bytes = recursion::bytes_of_a_level(call);
        let too_many = if bytes > plain + MOST_ADDED { "  TOO MANY" } else { "" };
        println!("{name:24}{bytes:6}{too_many}");
        if bytes > plain + MOST_ADDED {
            status = ExitCode::FAILURE;
        }
    }
    status
}
