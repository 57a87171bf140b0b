//! The example `stats`, run as a program.

use std::{fs, os::unix::process::ExitStatusExt, path::Path};

use nix::sys::signal::Signal;

use testkit::program::{Ended, Program};

const BOTH: [&str; 2] = ["mutex", "atomics"];

fn start<'a>(directory: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Program {
    Program::example("stats", directory, arguments)
}

/// The value in a column of the table.
fn column(ended: &Ended, head: &str) -> String {
    let mut lines = ended.stdout.lines().map(str::split_whitespace);
    let (heads, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut columns = heads.zip(values);
    columns.find(|(name, _)| *name == head).expect("the column exists").1.to_owned()
}

/// The lines of the histogram: the label of each bar, and its count.
fn bars(ended: &Ended) -> Vec<(String, u64)> {
    let bars = ended.stdout.lines().skip(4).map(str::split_whitespace);
    bars.map(|mut bar| (bar.next().unwrap().to_owned(), bar.next().unwrap().parse().unwrap()))
        .collect()
}

#[test]
fn a_hundred_files_give_the_sequential_answer_in_both_modes() {
    let place = tempfile::tempdir().unwrap();
    let words = |file: usize, line: usize| (file * 7 + line * 3) % 20;
    let names: Vec<_> = (0..100).map(|file| format!("{file}.txt")).collect();
    let mut expected: Vec<usize> = Vec::new();
    for (file, name) in names.iter().enumerate() {
        let lines = (0..200).map(|line| words(file, line));
        let text: String = lines.clone().map(|words| " word\t".repeat(words) + "\n").collect();
        fs::write(place.path().join(name), text).unwrap();
        expected.extend(lines);
    }
    for kept in BOTH {
        let arguments = ["--kept", kept].into_iter().chain(names.iter().map(String::as_str));
        let ended = start(place.path(), arguments).close_stdin().end();
        assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
        assert_eq!(column(&ended, "lines"), "20000");
        assert_eq!(column(&ended, "words"), expected.iter().sum::<usize>().to_string());
        assert_eq!(column(&ended, "shortest"), expected.iter().min().unwrap().to_string());
        assert_eq!(column(&ended, "longest"), expected.iter().max().unwrap().to_string());
        let ranges = [("0", 0..=0), ("1", 1..=1), ("2-3", 2..=3), ("4-7", 4..=7), ("8-15", 8..=15)]
            .into_iter()
            .chain([("16-31", 16..=31)]);
        let expected: Vec<_> = ranges
            .map(|(name, range)| {
                let lines = expected.iter().filter(|words| range.contains(*words)).count();
                (name.to_owned(), lines as u64)
            })
            .collect();
        assert_eq!(bars(&ended), expected, "{ended:#?}");
    }
}

#[test]
fn standard_input_is_counted_if_no_file_is_named() {
    for arguments in [&[] as &[&str], &["-"]] {
        let mut program = start(Path::new("."), arguments.iter().copied());
        program.feed("one\n\n two words \nno line end here");
        let ended = program.close_stdin().end();
        assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
        let row =
            ["lines", "words", "shortest", "longest", "mean"].map(|head| column(&ended, head));
        assert_eq!(row, ["4", "7", "0", "4", "1.75"]);
    }
}

#[test]
fn an_empty_input_does_not_divide_by_zero() {
    let ended = start(Path::new("."), []).close_stdin().end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let row = ["lines", "words", "shortest", "longest", "mean"].map(|head| column(&ended, head));
    assert_eq!(row, ["0", "0", "-", "-", "-"]);
    assert_eq!(ended.stdout.lines().count(), 2, "no histogram: {ended:#?}");
}

#[test]
fn a_line_longer_than_any_chunk_is_one_line() {
    let mut program = start(Path::new("."), []);
    program.feed(&"word ".repeat(100_000));
    let ended = program.close_stdin().end();
    assert_eq!(column(&ended, "lines"), "1", "{ended:#?}");
    assert_eq!(column(&ended, "longest"), "100000", "{ended:#?}");
}

#[test]
fn a_missing_file_only_changes_the_exit_code() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("there"), "one line\n").unwrap();
    let ended = start(place.path(), ["missing", "there", "."]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert_eq!(column(&ended, "lines"), "1");
    let said: Vec<_> = ended.stderr.lines().collect();
    let [missing, directory] = said[..] else { panic!("two remarks: {ended:#?}") };
    assert!(missing.starts_with("missing: No such file"), "{missing}");
    assert!(directory.starts_with(".: Is a directory"), "{directory}");
}

#[test]
fn an_interrupt_shows_the_counts_and_ends_by_the_signal() {
    for kept in BOTH {
        let arguments = ["--kept", kept, "--watch", "1"];
        let mut program = start(Path::new("."), arguments);
        program.feed("three words here\nand not a whole line");
        // The line is counted when the watcher prints it; the rest waits for its newline.
        while program.next_remark() != "1 lines, 3 words, 3.00 words a line" {}
        program.signal(Signal::SIGINT);
        let ended = program.end();
        assert_eq!(ended.status.signal(), Some(2), "{ended:#?}");
        assert_eq!(column(&ended, "lines"), "1");
    }
}

#[test]
fn a_watched_count_ends_when_the_input_does() {
    let mut program = start(Path::new("."), ["--watch", "1"]);
    program.feed("one line\n");
    while program.next_remark() != "1 lines, 2 words, 2.00 words a line" {}
    let ended = program.close_stdin().end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(column(&ended, "lines"), "1");
}

#[test]
fn a_wrong_command_line_exits_with_two() {
    for wrong in [&["--kept", "rwlock"], &["--watch", "0"], &["--watch", "often"]] {
        let ended = start(Path::new("."), wrong.iter().copied()).close_stdin().end();
        assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
        assert!(ended.stderr.contains(wrong[0]), "{ended:#?}");
    }
}

#[test]
fn help_lists_both_modes_and_the_exit_codes() {
    let ended = start(Path::new("."), ["--help"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    for said in ["mutex", "atomics", "  0  every file", "  1  some file", "  2  the command", "130"]
    {
        assert!(ended.stdout.contains(said), "no `{said}`: {ended:#?}");
    }
}
