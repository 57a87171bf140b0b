//! The program with temporary files.

use std::fs;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use testkit::http::{Answer, request};
use testkit::program::{Ended, Program};

pub(crate) struct Service {
    program: Program,
    pub(crate) address: String,
    pub(crate) place: TempDir,
}

/// Its files after the end.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) ended: Ended,
    /// The lines of the consumer's file.
    pub(crate) done: Vec<String>,
    metrics: String,
}

impl Service {
    /// Starts it, and waits until it is ready. Later arguments override the files of earlier ones.
    pub(crate) fn start<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("kept")).unwrap();
        let always = ["--listen", "127.0.0.1:0", "--metrics", "kept/metrics.txt"];
        let mut program =
            Program::example("service", place.path(), always.into_iter().chain(arguments));
        let ready = program.next_line();
        let address = ready.strip_prefix("READY ").expect("it prints its address").to_owned();
        Self { program, address, place }
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        request(&self.address, "POST", path, body.as_bytes()).await
    }

    pub(crate) async fn get(&self, path: &str) -> u16 {
        request(&self.address, "GET", path, b"").await.status
    }

    pub(crate) fn terminate(&self) {
        self.program.signal(Signal::SIGTERM);
    }

    /// Waits for a line on standard error.
    pub(crate) fn says(&mut self, text: &str) {
        while !self.program.next_remark().contains(text) {}
    }

    /// Waits for the end on another thread, while the test's clients continue.
    pub(crate) async fn end(self) -> Left {
        let Self { mut program, place, .. } = self;
        let ended = tokio::task::spawn_blocking(move || program.end()).await.unwrap();
        let read = |name| fs::read_to_string(place.path().join(name)).unwrap_or_default();
        let done = read("done.txt").lines().map(str::to_owned).collect();
        Left { ended, done, metrics: read("kept/metrics.txt") }
    }
}

impl Left {
    /// A number of the last flush.
    pub(crate) fn number(&self, name: &str) -> usize {
        let mut lines = self.metrics.lines().filter_map(|line| line.split_once(' '));
        let number = lines.find(|(key, _)| *key == name);
        number.unwrap_or_else(|| panic!("no `{name}`: {self:#?}")).1.parse().unwrap()
    }

    /// The components in the order in which they stopped.
    pub(crate) fn order(&self) -> Vec<&str> {
        let stopped = |line| {
            let (_, rest): (_, &str) = str::split_once(line, "service `")?;
            rest.split_once("` has stopped").map(|(name, _)| name)
        };
        self.ended.stderr.lines().filter_map(stopped).collect()
    }

    /// Every accepted job was done, once and in order, and the last numbers agree.
    pub(crate) fn is_complete(&self, accepted: &[String]) {
        assert_eq!(self.done, accepted, "{self:#?}");
        assert_eq!(self.number("jobs_accepted"), accepted.len(), "{self:#?}");
        assert_eq!(self.number("jobs_done"), accepted.len(), "{self:#?}");
    }
}
