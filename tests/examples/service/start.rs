//! Failures at the start, and the messages about them.

use std::{net::TcpListener, path::Path};

use testkit::program::{Ended, Program};

fn run(directory: &Path, arguments: &[&str]) -> Ended {
    Program::example("service", directory, arguments).close_stdin().end()
}

#[test]
fn a_missing_requirement_is_named_and_exits_with_one() {
    let place = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (arguments, said) in [
        ([&address, "done.txt", "metrics.txt"], format!("cannot listen on {address}")),
        (["127.0.0.1:0", "no/such", "metrics.txt"], "cannot write `no/such`".to_owned()),
        (["127.0.0.1:0", "done.txt", "no/such"], "the flusher cannot write `no/such`".to_owned()),
    ] {
        let [listen, done, metrics] = arguments;
        let ended = run(place.path(), &["--listen", listen, "--done", done, "--metrics", metrics]);
        assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
        assert!(ended.stderr.lines().any(|line| line.starts_with("Error: ")), "{ended:#?}");
        assert!(ended.stderr.contains(&said), "{ended:#?}");
        assert_eq!(ended.stdout, "", "it was never ready");
    }
}

#[test]
fn a_wrong_command_line_exits_with_two() {
    for wrong in [["--queue", "0"], ["--work", "soon"], ["--every", "0"], ["--linger", "6"]] {
        let ended = run(Path::new("."), &wrong);
        assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
        assert!(ended.stderr.contains(wrong[0]), "{ended:#?}");
    }
}

#[test]
fn help_lists_the_flags_answers_and_exit_codes() {
    let ended = run(Path::new("."), &["--help"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let flags =
        ["--listen", "--done", "--metrics", "--every", "--queue", "--work", "--linger", "--faults"];
    let said = [
        "POST /jobs",
        "Retry-After",
        "/readyz",
        "  0    stopped",
        "  1    it",
        "  2    the",
        "  75   some",
        "  143",
    ];
    for said in flags.into_iter().chain(said) {
        assert!(ended.stdout.contains(said), "no `{said}`: {ended:#?}");
    }
}
