//! A program under test: its lines, its signals, its end.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

pub(crate) use nix::sys::signal::Signal::{self, SIGINT, SIGTERM, SIGUSR1};
use nix::{sys::signal::kill, unistd::Pid};

/// Longer than any program takes, however busy the machine.
const WATCHDOG: Duration = Duration::from_secs(90);

/// The tolerance of an upper time bound for a busy machine.
pub(crate) const SLACK: Duration = Duration::from_secs(8);

/// A running program, killed on drop.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    stdout: String,
    stderr: Option<JoinHandle<String>>,
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    /// Starts a program of `programs/` with the given body.
    pub(crate) fn start(path: &str, body: &str) -> Self {
        let mut program = Self::spawn(Command::new(path).arg(body));
        let stderr = program.child.stderr.take().expect("the output is piped");
        program.stderr = Some(thread::spawn(move || read_all(stderr)));
        program
    }

    /// The same, and the caller receives the lines of its stderr as they arrive.
    pub(crate) fn start_and_read(path: &str, body: &str) -> (Self, Receiver<String>) {
        let mut program = Self::spawn(Command::new(path).arg(body));
        let stderr = BufReader::new(program.child.stderr.take().expect("the output is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // All are read, even without a receiver: a full pipe would block the program.
                _ = sender.send(line);
            }
        });
        (program, lines)
    }

    /// The same without a reader of its stderr: a write to it fails.
    pub(crate) fn start_without_stderr(path: &str, body: &str) -> Self {
        let mut program = Self::spawn(Command::new(path).arg(body));
        drop(program.child.stderr.take());
        program
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("the output is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut line = String::new();
            while stdout.read_line(&mut line).is_ok_and(|read| read > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, stdout: String::new(), stderr: None }
    }

    /// Reads until the program prints this.
    pub(crate) fn wait_for(&mut self, wanted: &str) -> &mut Self {
        let deadline = Instant::now() + WATCHDOG;
        loop {
            let line = self
                .next_line(deadline)
                .unwrap_or_else(|| panic!("ended without {wanted}: {:?}", self.stdout));
            if line.trim_end() == wanted {
                return self;
            }
        }
    }

    /// The next line; `None` when the program, the only writer, has ended.
    fn next_line(&mut self, deadline: Instant) -> Option<String> {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.stdout.push_str(&line);
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it hangs, after {:?}", self.stdout),
        }
    }

    pub(crate) fn send(&mut self, signal: Signal) -> &mut Self {
        kill(Pid::from_raw(self.id()), signal).expect("it has not been reaped yet");
        self
    }

    pub(crate) fn id(&self) -> i32 {
        self.child.id().try_into().expect("a process id is an `i32`")
    }

    /// Ends the program's stdin.
    pub(crate) fn close_stdin(&mut self) -> &mut Self {
        drop(self.child.stdin.take());
        self
    }

    /// Waits for the end of the program, whose stdin stays open.
    pub(crate) fn end(&mut self) -> Ended {
        let deadline = Instant::now() + WATCHDOG;
        while self.next_line(deadline).is_some() {}
        // Closed only by its death.
        let stdin = self.child.stdin.take();
        let status = self.child.wait().expect("it is a child process");
        drop(stdin);
        let stderr = self
            .stderr
            .take()
            .map(|read| read.join().expect("the reader is alive"))
            .unwrap_or_default();
        Ended { status, stdout: std::mem::take(&mut self.stdout), stderr }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail if it has already been reaped.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn read_all(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("a pipe is readable");
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Ended {
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{} {:?}", self.status, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn by_signal(self, signal: Signal) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let by = self.status.signal();
        assert_eq!(by, Some(signal as i32), "{} {:?}", self.status, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn with_stderr(self, wanted: &str) -> Self {
        assert!(self.stderr.contains(wanted), "no {wanted:?} in {:?}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn with_stdout(self, wanted: &str) -> Self {
        assert!(self.stdout.ends_with(wanted), "no {wanted:?} at the end of {:?}", self.stdout);
        self
    }
}
