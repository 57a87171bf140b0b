//! Processes of the worker, and their output.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::{
    child::{Running, command},
    place::Place,
};

/// Longer than a worker's grace.
const ENDING: Duration = Duration::from_secs(60);

/// The standard error of all workers of a test, including killed ones.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    /// Returns the number of lines that contain `words`.
    pub(crate) fn count(&self, words: &str) -> usize {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().filter(|line| line.contains(words)).count()
    }

    /// Returns the last warnings and errors.
    pub(crate) fn trouble(&self) -> Vec<String> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = said.iter().filter(|line| line.contains("WARN") || line.contains("rror"));
        let trouble: Vec<_> = trouble.cloned().collect();
        trouble[trouble.len().saturating_sub(30)..].to_vec()
    }
}

pub(crate) struct Process {
    said: Said,
    running: Running,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a worker.
    pub(crate) fn start(place: &Place, said: &Said, words: &[&str]) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_jetstream_worker"));
        let mut command = command(&place.tools.setpriv, Signal::SIGKILL, program);
        command.args(words);
        command.env("RUST_BACKTRACE", "0").current_dir(&place.folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start(command, Signal::SIGKILL);
        let (sender, lines) = channel();
        let stdout = running.child.stdout.take().unwrap();
        each_line(stdout, move |line| _ = sender.send(line));
        let (stderr, heard) = (running.child.stderr.take().unwrap(), said.clone());
        each_line(stderr, move |line| {
            heard.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        });
        Self { said: said.clone(), running, lines }
    }

    /// Waits until it accepts orders.
    pub(crate) fn ready(self) -> Self {
        let line = self.lines.recv_timeout(ENDING);
        assert_eq!(line.as_deref(), Ok("ready"), "{:#?}", self.said.trouble());
        self
    }

    pub(crate) fn send(&self, signal: Signal) {
        self.running.send(signal);
    }

    pub(crate) fn end(mut self) -> ExitStatus {
        self.running.end(ENDING).expect("it ends in time")
    }

    pub(crate) fn stop(self) -> ExitStatus {
        self.send(Signal::SIGTERM);
        self.end()
    }

    pub(crate) fn kill(self) -> ExitStatus {
        self.send(Signal::SIGKILL);
        self.end()
    }
}

fn each_line(from: impl Read + Send + 'static, mut take: impl FnMut(String) + Send + 'static) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            take(line);
        }
    });
}

/// The arguments of the workers of a test.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) slots: u32,
    pub(crate) work_ms: u32,
    pub(crate) ack_wait_ms: u32,
    pub(crate) attempts: u32,
    pub(crate) retry_ms: u32,
}

impl Settings {
    pub(crate) fn worker(&self, place: &Place, said: &Said) -> Process {
        Process::start(place, said, &self.words(place).iter().map(|it| &**it).collect::<Vec<_>>())
    }

    /// Starts the worker of one partition.
    pub(crate) fn of_partition(&self, place: &Place, said: &Said, partition: usize) -> Process {
        let (mut words, partition) = (self.words(place), partition.to_string());
        words.extend(["--partition".to_owned(), partition]);
        Process::start(place, said, &words.iter().map(|it| &**it).collect::<Vec<_>>())
    }

    fn words(&self, place: &Place) -> Vec<String> {
        let Self { slots, work_ms, ack_wait_ms, attempts, retry_ms } = self;
        let numbers = [
            ("--slots", slots),
            ("--work-ms", work_ms),
            ("--ack-wait-ms", ack_wait_ms),
            ("--attempts", attempts),
            ("--retry-ms", retry_ms),
            ("--drain-ms", &6_000),
        ];
        let numbers =
            numbers.into_iter().flat_map(|(word, number)| [word.into(), number.to_string()]);
        let servers =
            ["--broker".into(), place.broker.url(), "--database".into(), place.database.words()];
        servers.into_iter().chain(numbers).collect()
    }
}
