//! The example `etl`, run as a program against its own server.

use std::{collections::HashSet, fs, os::unix::process::ExitStatusExt, path::Path};

use nix::sys::signal::Signal;

use testkit::program::Program;

fn start<const N: usize>(directory: &Path, arguments: [&str; N]) -> Program {
    Program::example("etl", directory, arguments)
}

fn rows(directory: &Path) -> Vec<String> {
    let rows = fs::read_to_string(directory.join("priced.csv")).unwrap();
    rows.lines().map(str::to_owned).collect()
}

#[test]
fn each_good_line_is_priced_and_the_bad_ones_are_counted() {
    let place = tempfile::tempdir().unwrap();
    let ended = start(place.path(), ["--lines", "2000", "--bad-each", "500"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("1996 lines priced, 4 failed"), "{}", ended.stderr);
    assert!(ended.stderr.contains("line 1000 is not of the form"), "{}", ended.stderr);
    let rows = rows(place.path());
    assert_eq!(rows.len(), 1_996);
    // Line 1 is `item-1,1`: one piece, for the price of 2.
    assert!(rows.contains(&"item-1,1,2".to_owned()));
    let expected: HashSet<_> = (1..=2_000_u64)
        .filter(|number| number % 500 != 0)
        .map(|number| {
            let (item, count) = (number % 1_000, number % 7);
            format!("item-{item},{count},{}", count * (item % 100 + 1))
        })
        .collect();
    assert_eq!(rows.into_iter().collect::<HashSet<_>>(), expected);
}

#[test]
fn without_bad_lines_it_succeeds() {
    let place = tempfile::tempdir().unwrap();
    let ended = start(place.path(), ["--lines", "300", "--bad-each", "0"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("300 lines priced, 0 failed"), "{}", ended.stderr);
}

#[test]
fn a_deadline_ends_it_with_an_error_that_says_how_far_it_was() {
    let place = tempfile::tempdir().unwrap();
    let arguments = ["--lines", "1000000", "--within", "0.5"];
    let ended = start(place.path(), arguments).close_stdin().end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("lines priced"), "{}", ended.stderr);
    assert!(rows(place.path()).iter().all(|row| row.split(',').count() == 3), "a row is cut");
}

#[test]
fn a_signal_ends_it_after_the_rows_that_have_started() {
    let place = tempfile::tempdir().unwrap();
    let mut program = start(place.path(), ["--lines", "1000000", "--bad-each", "50"]);
    // A failed line: it is in the middle.
    program.close_stdin();
    while !program.next_remark().contains("line ") {}
    let ended = program.send(Signal::SIGINT).end();
    assert_eq!(ended.status.signal(), Some(Signal::SIGINT as i32), "{}", ended.stderr);
    assert!(rows(place.path()).iter().all(|row| row.split(',').count() == 3), "a row is cut");
}
