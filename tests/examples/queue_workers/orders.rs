//! A queue of orders, and the program's results.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use testkit::{program::Program, until};

pub(crate) struct Orders {
    place: TempDir,
}

impl Orders {
    pub(crate) fn new(queue: impl AsRef<[u8]>) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("orders"), queue).unwrap();
        Self { place }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn place(&self) -> &Path {
        self.place.path()
    }

    /// Starts the program, and waits until it runs.
    pub(crate) fn start<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Program {
        let arguments = ["orders"].into_iter().chain(arguments);
        let mut program = Program::example("queue_workers", self.place(), arguments);
        assert!(program.next_line().starts_with("ready: "));
        program
    }

    pub(crate) fn read(&self, name: &str) -> String {
        match fs::read_to_string(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.unwrap(),
        }
    }

    /// How many complete records are written.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.read(name).bytes().filter(|byte| *byte == b'\n').count()
    }

    pub(crate) fn wait_for(&self, name: &str, records: usize) {
        until(|| self.count(name) >= records);
    }

    /// How often each record occurs.
    pub(crate) fn records(&self, name: &str) -> BTreeMap<String, usize> {
        let mut records = BTreeMap::new();
        for record in self.read(name).lines() {
            *records.entry(record.to_owned()).or_default() += 1;
        }
        records
    }

    /// How often each message occurs among the dead.
    pub(crate) fn dead(&self) -> BTreeMap<String, usize> {
        let mut messages = BTreeMap::new();
        for record in self.read("orders.dead").lines() {
            let [offset, reason, message] = record.splitn(3, '\t').collect::<Vec<_>>()[..] else {
                panic!("three fields: {record}");
            };
            offset.parse::<u64>().unwrap();
            assert!(!reason.is_empty());
            *messages.entry(message.to_owned()).or_default() += 1;
        }
        messages
    }
}

/// The offsets of the lines of a queue.
pub(crate) fn offsets(queue: &str) -> Vec<String> {
    let ends = queue.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1));
    let mut offsets: Vec<_> = starts.map(|offset| offset.to_string()).collect();
    offsets.pop();
    offsets
}

/// Ten thousand messages of which every fiftieth panics and every other fiftieth is an error.
pub(crate) struct Many {
    pub(crate) queue: String,
    pub(crate) done: Vec<String>,
    pub(crate) dead: Vec<String>,
}

impl Many {
    pub(crate) const MESSAGES: usize = 10_000;

    pub(crate) fn new() -> Self {
        let mut many = Self { queue: String::new(), done: Vec::new(), dead: Vec::new() };
        for order in 0..Self::MESSAGES {
            let (message, is_done) = match order % 50 {
                7 => (format!("{order} 0 600"), false),
                33 => (format!("{order} many 600"), false),
                _ => (format!("{order} 2 {}", 2 * order), true),
            };
            many.queue += &message;
            many.queue.push('\n');
            if is_done {
                many.done.push(format!("{order} {order}"));
            } else {
                many.dead.push(message);
            }
        }
        many
    }

    /// How often each of them was processed.
    pub(crate) fn counts(&self, orders: &Orders) -> Vec<usize> {
        let (done, dead) = (orders.records("orders.done"), orders.dead());
        assert_eq!(done.len(), self.done.len(), "no other message is processed");
        assert_eq!(dead.len(), self.dead.len(), "nothing else is dead");
        let done = self.done.iter().map(|record| done.get(record).copied().unwrap_or(0));
        let dead = self.dead.iter().map(|message| dead.get(message).copied().unwrap_or(0));
        done.chain(dead).collect()
    }
}
