//! The program, its input and its file.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use testkit::program::{Ended, Program};

pub(crate) struct Flusher {
    place: TempDir,
}

/// The program's last line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) read: usize,
    pub(crate) written: usize,
    pub(crate) panicked: usize,
    pub(crate) failed: usize,
    pub(crate) restarts: usize,
}

impl Flusher {
    pub(crate) fn new() -> Self {
        Self { place: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.place.path().join("output")
    }

    /// Starts the program, and waits until it runs.
    pub(crate) fn start<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Program {
        let arguments = ["--output", "output", "--verbose"].into_iter().chain(arguments);
        let mut program = Program::example("flusher", self.place.path(), arguments);
        assert_eq!(program.next_line(), "ready");
        program
    }

    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// The lines that were read are on the disk, each once and in order: a prefix of the input.
    pub(crate) fn has_what_was_read(&self, fed: &str, ended: &Ended) -> Counts {
        let counts = Counts::of(ended);
        assert_eq!(counts.read, counts.written, "{counts:?}");
        let read: usize = fed.split_inclusive('\n').take(counts.read).map(str::len).sum();
        assert!(self.output() == fed[..read], "lines are lost, torn, twice or out of order");
        counts
    }
}

impl Counts {
    pub(crate) fn of(ended: &Ended) -> Self {
        let last = ended.stdout.lines().last().unwrap();
        let words = last.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        let numbers: Vec<_> = words.map(|number| number.parse().unwrap()).collect();
        let [read, written, panicked, failed, restarts] = numbers[..] else {
            panic!("five numbers: {last}");
        };
        Self { read, written, panicked, failed, restarts }
    }
}

/// Distinct lines, more of them than the program reads in any of these tests.
pub(crate) fn endless() -> String {
    (0..1_000_000).map(|number| format!("{number}\n")).collect()
}

/// Waits until the program has printed this.
pub(crate) fn wait_for(program: &mut Program, said: &str) {
    while program.next_line() != said {}
}
