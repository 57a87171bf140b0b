//! Processes of the example, and their output.

use std::{
    io::{BufRead, BufReader, Read, Write},
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
        let trouble = said.iter().filter(|line| line.contains("WARN") || line.contains("ERROR"));
        let trouble: Vec<_> = trouble.cloned().collect();
        trouble[trouble.len().saturating_sub(30)..].to_vec()
    }
}

pub(crate) struct Process {
    running: Running,
    lines: Receiver<String>,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// The last line of its standard output.
    pub(crate) report: String,
}

impl Process {
    /// Starts the example.
    pub(crate) fn start(place: &Place, said: &Said, words: &[&str], input: Option<&str>) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_jetstream"));
        let mut command = command(&place.tools.setpriv, Signal::SIGKILL, program);
        command.args(words).args(["--broker", &place.broker.url()]);
        command.env("RUST_BACKTRACE", "0").current_dir(&place.folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start(command, Signal::SIGKILL);
        let stdin = running.child.stdin.take();
        if let (Some(mut stdin), Some(input)) = (stdin, input.map(str::to_owned)) {
            thread::spawn(move || stdin.write_all(input.as_bytes()));
        }
        let (sender, lines) = channel();
        let stdout = running.child.stdout.take().unwrap();
        each_line(stdout, move |line| _ = sender.send(line));
        let (stderr, said) = (running.child.stderr.take().unwrap(), said.clone());
        each_line(stderr, move |line| {
            said.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        });
        Self { running, lines }
    }

    /// Waits until it accepts orders.
    pub(crate) fn ready(self) -> Self {
        let line = self.lines.recv_timeout(ENDING).expect("the worker becomes ready");
        assert_eq!(line, "ready");
        self
    }

    pub(crate) fn send(&self, signal: Signal) {
        self.running.send(signal);
    }

    pub(crate) fn end(mut self) -> Ended {
        let status = self.running.end(ENDING).expect("it ends in time");
        Ended { status, report: self.lines.iter().last().unwrap_or_default() }
    }

    pub(crate) fn stop(self) -> Ended {
        self.send(Signal::SIGTERM);
        self.end()
    }

    pub(crate) fn kill(self) -> Ended {
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
pub(crate) struct Settings {
    pub(crate) slots: u32,
    pub(crate) work_ms: u32,
    pub(crate) ack_wait_ms: u32,
    pub(crate) attempts: u32,
    pub(crate) retry_ms: u32,
}

impl Settings {
    pub(crate) fn worker(&self, place: &Place, said: &Said) -> Process {
        let Self { slots, work_ms, ack_wait_ms, attempts, retry_ms } = self;
        let (slots, work) = (slots.to_string(), work_ms.to_string());
        let (wait, attempts) = (ack_wait_ms.to_string(), attempts.to_string());
        let (retry, database) = (retry_ms.to_string(), place.database.words());
        let mut words = vec!["work", "--database", &database, "--slots", &slots];
        words.extend(["--work-ms", &work, "--ack-wait-ms", &wait, "--attempts", &attempts]);
        words.extend(["--retry-ms", &retry, "--finish-ms", "3000"]);
        Process::start(place, said, &words, None)
    }
}

/// Starts publishing the lines.
pub(crate) fn publishing(place: &Place, said: &Said, lines: &str) -> Process {
    Process::start(place, said, &["publish"], Some(lines))
}

/// Publishes the lines, and waits until they are stored. Returns the report of the publisher.
pub(crate) fn publish(place: &Place, said: &Said, lines: &str) -> String {
    let ended = publishing(place, said, lines).end();
    assert!(ended.status.success(), "{ended:?} {:#?}", said.trouble());
    ended.report
}
