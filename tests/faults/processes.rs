//! Programs in which an allocation fails, in which a panic cannot be reported, or in which an error cannot.
//!
//! `std` ends the process in these cases. The crate guarantees that the process ends: nothing hangs, and nothing
//! that continues has counted wrongly.
//!
//! No body panics while an allocation fails: a backtrace is captured under a lock of `std`, which its own handler
//! of a failed allocation takes as well (as of 1.95). A failed allocation in a capture therefore hangs the thread.

use std::os::unix::process::ExitStatusExt;

use testkit::{program::Program, watched};

const FAULTY: &str = env!("CARGO_BIN_EXE_faulty");
const SIGABRT: i32 = 6;

/// A refusal has no effect once its number exceeds the allocations of the program.
const MOST: usize = 3_000;

#[test]
fn a_failed_allocation_ends_the_process_without_a_hang() {
    watched(|| {
        let (mut aborted, mut refused) = (0, 0);
        loop {
            let ended = Program::start(FAULTY, &refused.to_string()).end();
            match (ended.status.code(), ended.status.signal()) {
                (Some(0), None) if ended.stdout == "DONE\n" => break,
                // The allocation was optional.
                (Some(0), None) => assert_eq!(ended.stdout, "REFUSED\nDONE\n"),
                (None, Some(SIGABRT)) => {
                    let wanted = "memory allocation of ";
                    assert!(ended.stderr.contains(wanted), "{refused}: {}", ended.stderr);
                    aborted += 1;
                }
                other => panic!("{refused}: {other:?} {} {}", ended.stdout, ended.stderr),
            }
            refused += 1;
            assert!(refused < MOST, "the program never runs to completion");
        }
        println!("{refused} requests were refused; {aborted} refusals ended the process");
        assert!(aborted > 20, "{aborted} of {refused}");
    });
}

#[test]
fn a_hook_that_panics_aborts_the_process() {
    watched(|| {
        let mut program = Program::start(FAULTY, "a hook that panics");
        program.wait_for("READY");
        let ended = program.end();
        assert_eq!(ended.status.signal(), Some(SIGABRT), "{}", ended.stderr);
        assert!(!ended.stdout.contains("DONE"), "{}", ended.stdout);
    });
}

#[test]
fn an_error_of_main_whose_print_panics_is_a_panic_of_main() {
    watched(|| {
        let ended = Program::start(FAULTY, "an error that panics").end();
        ended.with_code(101).with_stderr("unprintable");
    });
}
