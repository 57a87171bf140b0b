//! The command line.

use std::path::Path;

use testkit::program::Program;

#[test]
fn a_wrong_command_line_exits_with_two() {
    for wrong in ["0ms", "100", "ms", "-1s", "2 weeks", "99999999999999999999s"] {
        let every = format!("--every={wrong}");
        let ended = Program::example("flusher", Path::new("."), ["--output", "x", &every])
            .close_stdin()
            .end();
        assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
        assert!(ended.stderr.contains("write it as `100ms`"), "{ended:#?}");
    }
    let ended = Program::example("flusher", Path::new("."), [""; 0]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("--output"), "{ended:#?}");
}

#[test]
fn an_output_that_cannot_be_opened_is_named() {
    let ended =
        Program::example("flusher", Path::new("."), ["--output", "no/where"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("cannot open `no/where`"), "{ended:#?}");
}

#[test]
fn help_lists_the_exit_codes() {
    let ended = Program::example("flusher", Path::new("."), ["--help"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    for said in ["100ms", "  0  every line", "  1  it gave up", "  2  the command line"] {
        assert!(ended.stdout.contains(said), "no `{said}`: {ended:#?}");
    }
}
