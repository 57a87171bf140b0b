//! The command line.

use std::path::Path;

use testkit::program::Program;

#[test]
fn a_wrong_command_line_exits_with_two() {
    for wrong in [&["orders", "--workers", "0"], &["orders", "--work-ms", "long"]] {
        let ended = Program::example("queue_workers", Path::new("."), wrong).close_stdin().end();
        assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
        assert!(ended.stderr.contains(wrong[1]), "{ended:#?}");
    }
}

#[test]
fn help_lists_the_files_and_the_exit_codes() {
    let ended = Program::example("queue_workers", Path::new("."), ["--help"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    for said in ["QUEUE.done", "QUEUE.dead", "  0  every message", "  1  a file", "  2  the"] {
        assert!(ended.stdout.contains(said), "no `{said}`: {ended:#?}");
    }
}
