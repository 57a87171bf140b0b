//! Failures at the start, and the messages about them.

use std::{net::TcpListener, path::Path};

use testkit::program::{Ended, Program};

fn run(directory: &Path, arguments: &[&str]) -> Ended {
    Program::example("http_saver", directory, arguments).close_stdin().end()
}

#[test]
fn an_address_in_use_is_named_and_exits_with_one() {
    let place = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(place.path(), &["--listen", &address]);
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert!(
        ended.stderr.starts_with(&format!("Error: cannot listen on {address}\n")),
        "{ended:#?}"
    );
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_directory_that_cannot_be_made_is_named_and_exits_with_one() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("file"), "").unwrap();
    let ended = run(place.path(), &["--listen", "127.0.0.1:0", "--directory", "file/in"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert!(ended.stderr.starts_with("Error: cannot make the directory `file/in`\n"), "{ended:#?}");
}

#[test]
fn a_wrong_command_line_exits_with_two() {
    for wrong in [
        ["--slots", "0"],
        ["--delay", "soon"],
        ["--delay", "inf"],
        ["--grace", "15"],
        ["--linger", "6"],
    ] {
        let ended = run(Path::new("."), &wrong);
        assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
        assert!(ended.stderr.contains(wrong[0]), "{ended:#?}");
    }
}

#[test]
fn help_lists_the_flags_answers_and_exit_codes() {
    let ended = run(Path::new("."), &["--help"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let flags = ["--listen", "--directory", "--slots", "--delay", "--linger", "--grace"];
    let said =
        ["POST /save", "Retry-After", "/readyz", "  0  stopped by", "  1  it could", "  2  the"];
    for said in flags.into_iter().chain(said) {
        assert!(ended.stdout.contains(said), "no `{said}`: {ended:#?}");
    }
}
