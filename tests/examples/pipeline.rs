//! The example `pipeline`, run as a program.

use std::{fs, os::unix::process::ExitStatusExt, path::Path};

use nix::sys::signal::Signal;

use testkit::program::Program;

fn start<'a>(directory: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Program {
    Program::example("pipeline", directory, arguments)
}

fn table(lines: usize) -> String {
    (0..lines).map(|n| format!("key {n}\tvalue {n}\n")).collect()
}

/// The expected output for [`table`].
fn summed(lines: usize) -> String {
    let line = |n| {
        let value = format!("value {n}");
        format!("key {n}\t{:08x}\t{value}\n", crc32(value.as_bytes()))
    };
    (0..lines).map(line).collect()
}

/// CRC-32 by long division, without the table of the example.
fn crc32(bytes: &[u8]) -> u32 {
    let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| u32::from(byte >> bit & 1)));
    let divide = |crc: u32, bit: u32| (crc >> 1) ^ (0xEDB8_8320 * ((crc ^ bit) & 1));
    !bits.fold(!0, divide)
}

const LINES: usize = 20_000;

#[test]
fn twenty_thousand_lines_are_written_in_order() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("table"), table(LINES)).unwrap();
    for arguments in [&["table"] as &[&str], &["table", "--out", "summed"]] {
        let ended = start(place.path(), arguments.iter().copied()).close_stdin().end();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        let written = fs::read_to_string(place.path().join("summed")).unwrap_or(ended.stdout);
        assert!(written == summed(LINES), "{arguments:?}");
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn a_line_is_written_before_the_next_one_is_read() {
    let mut program = start(Path::new("."), ["-"]);
    for (line, expected) in table(20).lines().zip(summed(20).lines()) {
        program.feed(&format!("{line}\n"));
        assert_eq!(program.next_line(), expected);
    }
    assert_eq!(program.close_stdin().end().status.code(), Some(0));
}

#[test]
fn a_bad_line_ends_the_output() {
    for before in [0, 1, 100, LINES] {
        let place = tempfile::tempdir().unwrap();
        let text = table(before) + "bad\n" + &table(LINES);
        fs::write(place.path().join("table"), text).unwrap();
        let ended = start(place.path(), ["table"]).close_stdin().end();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        let said = format!("Error: line {}: no tab between a key and a value\n", before + 1);
        assert_eq!(ended.stderr, said);
        assert!(ended.stdout == summed(before), "{before}");
    }
}

#[test]
fn unusable_files_are_named() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("table"), table(1)).unwrap();
    let cases = [
        (&["missing"] as &[&str], "`missing` cannot be read"),
        (&["."], "the table cannot be read"),
        (&["table", "--out", "no/such"], "`no/such` cannot be written"),
        #[cfg(target_os = "linux")]
        (&["table", "--out", "/dev/full"], "the result cannot be written"),
    ];
    for (arguments, said) in cases {
        let ended = start(place.path(), arguments.iter().copied()).close_stdin().end();
        assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
        assert!(ended.stderr.starts_with(&format!("Error: {said}\n")), "{ended:#?}");
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_signal_while_idle_ends_it_by_the_signal() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut program = start(Path::new("."), []);
        program.feed(&(table(3) + "half a li"));
        for line in summed(3).lines() {
            assert_eq!(program.next_line(), line);
        }
        program.send(signal);
        let ended = program.end();
        assert_eq!(ended.status.signal(), Some(signal as i32), "{ended:#?}");
        assert_eq!(ended.stdout, summed(3), "no half line");
        let said = "Interrupted: 3 lines had been read, 3 of them are written.\n";
        assert_eq!(ended.stderr, said);
    }
}

#[test]
fn a_signal_under_load_writes_exactly_the_lines_read() {
    let mut program = start(Path::new("."), []);
    program.feed_beside(table(10 * LINES));
    program.next_line();
    program.signal(Signal::SIGTERM);
    let ended = program.end();
    assert_eq!(ended.status.signal(), Some(Signal::SIGTERM as i32), "{}", ended.stderr);
    let lines = ended.stdout.lines().count();
    let said = format!("Interrupted: {lines} lines had been read, {lines} of them are written.\n");
    assert_eq!(ended.stderr, said);
    assert!(ended.stdout == summed(lines), "a complete prefix of the table");
}

#[test]
fn a_wrong_command_line_exits_with_two() {
    let ended = start(Path::new("."), ["--outt", "x"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("--out"), "{ended:#?}");
}

#[test]
fn help_lists_the_exit_codes() {
    let ended = start(Path::new("."), ["--help"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    for said in ["  0  every line", "  1  a line", "  2  the command", "130", "crc32"] {
        assert!(ended.stdout.contains(said), "no `{said}`: {ended:#?}");
    }
}
