//! The example `panics`, run as a program.

use std::{os::unix::process::ExitStatusExt, path::Path};

use nix::sys::signal::Signal;
use serde_json::Value;

use testkit::program::{Ended, Program};

fn start<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Program {
    Program::example("panics", Path::new("."), arguments)
}

/// The same with a value of `RUST_BACKTRACE`.
fn start_with<'a>(backtrace: &str, arguments: impl IntoIterator<Item = &'a str>) -> Program {
    Program::example_with("panics", Path::new("."), arguments, [("RUST_BACKTRACE", backtrace)])
}

/// A row of the table: jobs, ok, panicked, cancelled.
fn row(ended: &Ended, name: &str) -> [u64; 4] {
    let row = ended.stdout.lines().find_map(|line| line.strip_prefix(name));
    let row = row.unwrap_or_else(|| panic!("no row `{name}`: {ended:#?}")).split_whitespace();
    row.map(|count| count.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap()
}

/// The file of the job, as it was passed to the compiler.
const PLACE: &str = "examples/panics/average.rs";

#[test]
fn every_fifth_of_a_thousand_jobs_panics_and_all_others_finish() {
    let ended = start([]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(row(&ended, "results"), [1_000, 800, 200, 0]);
    assert_eq!(row(&ended, "counters"), [1_000, 800, 200, 0]);
    let place = ended.stdout.lines().find(|line| line.starts_with("200 x ")).unwrap();
    assert!(place.starts_with(&format!("200 x {PLACE}:")), "{place}");
    assert!(place.ends_with(": attempt to divide by zero (first: job 5)"), "{place}");
}

/// How many panics of one function are logged one by one in a second.
const LOGGED: usize = 10;

#[test]
fn as_text_a_panic_is_one_line_and_those_above_ten_are_counted() {
    let ended = start(["--log", "text"]).close_stdin().end();
    let prefix = format!("ERROR task `average` panicked at {PLACE}:");
    let (panics, counts): (Vec<_>, Vec<_>) =
        ended.stderr.lines().partition(|line| line.contains(&prefix));
    assert!(panics.len() >= LOGGED, "{ended:#?}");
    for line in &panics {
        assert!(line.ends_with(": attempt to divide by zero"), "{line}");
    }
    let counted = counts.iter().map(|line| {
        let (_, rest) = line.split_once("ERROR task `average` panicked ").expect(line);
        let (count, _) = rest.split_once(" more times within ").expect(line);
        count.parse::<usize>().unwrap()
    });
    assert_eq!(panics.len() + counted.sum::<usize>(), 200, "{ended:#?}");
}

/// How many panics an event reports: one, or the number that it counts.
fn panics_of(event: &Value) -> u64 {
    event.get("panics").map_or(1, |panics| panics.as_u64().unwrap())
}

#[test]
fn as_json_a_panic_is_one_object_and_its_backtrace_another() {
    let ended = start_with("1", ["--log", "json"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(0));
    let events: Vec<Value> =
        ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (panics, backtraces): (Vec<_>, Vec<_>) =
        events.iter().partition(|event| event["level"] == "ERROR");
    assert_eq!(panics.iter().map(|event| panics_of(event)).sum::<u64>(), 200);
    for event in panics {
        assert_eq!(event["task.name"], "average");
        if event.get("panics").is_some() {
            continue;
        }
        assert_eq!(event["exception.type"], "panic");
        assert_eq!(event["exception.message"], "attempt to divide by zero");
        assert_eq!(event["code.file.path"], PLACE);
        assert!(event["code.line.number"].as_u64() > Some(0), "{event}");
    }
    assert!(!backtraces.is_empty(), "the first one is written before the exit");
    for event in backtraces {
        assert_eq!((&event["level"], &event["task.name"]), (&"INFO".into(), &"average".into()));
        assert_eq!(event["code.file.path"], PLACE);
        let trace = event["exception.stacktrace"].as_str().unwrap();
        assert!(trace.contains("panics::average::average"), "{trace}");
    }
}

#[test]
fn without_backtraces_nothing_but_panics_is_logged() {
    let ended = start_with("0", ["--log", "json"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(0));
    let events = ended.stderr.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let panics = events.map(|event| {
        assert_eq!(event["level"], "ERROR", "{event}");
        panics_of(&event)
    });
    assert_eq!(panics.sum::<u64>(), 200, "{ended:#?}");
}

#[test]
fn the_error_carries_the_backtrace_of_the_panic_site() {
    let ended = start(["--jobs", "10", "--backtrace"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let (_, shown) = ended.stdout.split_once("\n\n").unwrap();
    assert!(shown.starts_with(&format!("task `average` panicked at {PLACE}:")), "{shown}");
    assert!(shown.contains("panics::average::average"), "{shown}");
}

#[test]
fn strict_reports_a_panic_by_the_exit_code() {
    let cases = [("5", 200, 1), ("1", 1_000, 1), ("1001", 0, 0), ("0", 0, 0)];
    for (every, panicked, code) in cases {
        for (strict, code) in [(None, 0), (Some("--strict"), code)] {
            let ended = start(["--every", every].into_iter().chain(strict)).close_stdin().end();
            assert_eq!(ended.status.code(), Some(code), "{every} {strict:?}: {ended:#?}");
            let expected = [1_000, 1_000 - panicked, panicked, 0];
            assert_eq!(row(&ended, "results"), expected);
            assert_eq!(row(&ended, "counters"), expected);
        }
    }
}

#[test]
fn the_counts_of_zero_jobs_add_up() {
    let ended = start(["--jobs", "0", "--backtrace", "--strict"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(row(&ended, "results"), [0; 4]);
}

#[test]
fn an_interrupt_shows_finished_jobs_and_ends_by_the_signal() {
    let mut program = start(["--jobs", "1000000000", "--every", "1000"]);
    program.next_remark();
    program.signal(Signal::SIGINT);
    let ended = program.end();
    assert_eq!(ended.status.signal(), Some(2), "{}", ended.stdout);
    let results = row(&ended, "results");
    assert_eq!(row(&ended, "counters"), results);
    let [jobs, ok, panicked, cancelled] = results;
    assert_eq!(jobs, ok + panicked + cancelled);
    assert!(panicked >= 1 && cancelled <= 16 && jobs < 1_000_000_000, "{results:?}");
}

#[test]
fn a_wrong_command_line_exits_with_two() {
    for wrong in [&["--log", "xml"], &["--jobs", "-1"]] {
        let ended = start(wrong.iter().copied()).close_stdin().end();
        assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
    }
}

#[test]
fn help_lists_the_exit_codes() {
    let ended = start(["--help"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    for said in ["  0  every job", "  1  with --strict", "  2  the command", "130", "json"] {
        assert!(ended.stdout.contains(said), "no `{said}`: {ended:#?}");
    }
}
