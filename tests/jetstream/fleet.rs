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

/// More than the grace of a worker.
const ENDING: Duration = Duration::from_secs(60);

/// The standard error of all workers of a test, including killed ones.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// How many lines contain these words.
    pub(crate) fn count(&self, words: &str) -> usize {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().filter(|line| line.contains(words)).count()
    }

    /// The last line that reports a problem.
    pub(crate) fn trouble(&self) -> Vec<String> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = log.iter().filter(|line| line.contains("WARN") || line.contains("ERROR"));
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
    pub(crate) fn start(place: &Place, log: &Log, words: &[&str], input: Option<&str>) -> Self {
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
        let (stderr, log) = (running.child.stderr.take().unwrap(), log.clone());
        each_line(stderr, move |line| {
            log.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        });
        Self { running, lines }
    }

    /// Waits until it accepts orders.
    pub(crate) fn ready(self) -> Self {
        let line = self.lines.recv_timeout(ENDING).expect("it becomes ready in time");
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

/// How the workers of a test are started.
pub(crate) struct Settings {
    pub(crate) slots: u32,
    pub(crate) work_ms: u32,
    pub(crate) ack_wait_ms: u32,
    pub(crate) attempts: u32,
    pub(crate) retry_ms: u32,
}

impl Settings {
    pub(crate) fn worker(&self, place: &Place, log: &Log) -> Process {
        let Self { slots, work_ms, ack_wait_ms, attempts, retry_ms } = self;
        let (slots, work) = (slots.to_string(), work_ms.to_string());
        let (wait, attempts) = (ack_wait_ms.to_string(), attempts.to_string());
        let (retry, database) = (retry_ms.to_string(), place.database.words());
        let mut words = vec!["work", "--database", &database, "--slots", &slots];
        words.extend(["--work-ms", &work, "--ack-wait-ms", &wait, "--attempts", &attempts]);
        words.extend(["--retry-ms", &retry, "--finish-ms", "3000"]);
        Process::start(place, log, &words, None)
    }
}

/// Publishes the lines in the background.
pub(crate) fn publishing(place: &Place, log: &Log, lines: &str) -> Process {
    Process::start(place, log, &["publish"], Some(lines))
}

/// Publishes them, waits until they are stored, and returns the publisher's output.
pub(crate) fn publish(place: &Place, log: &Log, lines: &str) -> String {
    let ended = publishing(place, log, lines).end();
    assert!(ended.status.success(), "{ended:?} {:#?}", log.trouble());
    ended.report
}
