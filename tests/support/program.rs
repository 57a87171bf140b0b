//! An example, built and run as a child process, which never outlives its test.
//!
//! For any of them: a test target includes it with `#[path]` and names the example at the start.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Longer than any run takes on a machine under load; a run that hangs is killed then.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Builds the example once and returns its path.
fn executable(example: &'static str) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<&'static str, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.get_or_insert_default().entry(example).or_insert_with(|| build(example)).clone()
}

fn build(example: &str) -> PathBuf {
    // `target/debug/deps/stats-…`, in any target directory.
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "-p", "supervised-examples", "--example", example])
        .args(["--message-format", "json-render-diagnostics", "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(built.status.success(), "the example builds");
    let messages = String::from_utf8(built.stdout).unwrap();
    let messages = messages.lines().map(|line| serde_json::from_str(line).unwrap());
    let is_it = |message: &serde_json::Value| {
        message["target"]["name"] == example && message["executable"].is_string()
    };
    let message = messages.into_iter().find(is_it).expect("cargo names the executable");
    message["executable"].as_str().unwrap().into()
}

/// A running child, killed on drop.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Output,
    stderr: Output,
    /// Dropped with the program, which closes its standard input.
    _feeding: Option<mpsc::Sender<()>>,
    /// Dropped with the program, which ends its watchdog.
    _ended: mpsc::Sender<()>,
}

/// The output and status of a child.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    /// Starts it in a directory. Its standard input stays open until [`end`](Self::end).
    pub(crate) fn start<A: AsRef<OsStr>>(
        example: &'static str,
        directory: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self::start_with(example, directory, arguments, [])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn start_with<A: AsRef<OsStr>, const N: usize>(
        example: &'static str,
        directory: &Path,
        arguments: impl IntoIterator<Item = A>,
        variables: [(&str, &str); N],
    ) -> Self {
        let mut child = Command::new(executable(example))
            .args(arguments)
            .current_dir(directory)
            .env("RUST_BACKTRACE", "0")
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = Output::of(child.stdout.take().unwrap());
        let stderr = Output::of(child.stderr.take().unwrap());
        let (ended, is_ended) = mpsc::channel::<()>();
        let pid = pid(&child);
        thread::spawn(move || {
            if is_ended.recv_timeout(WATCHDOG) == Err(mpsc::RecvTimeoutError::Timeout) {
                _ = kill(pid, Signal::SIGKILL);
            }
        });
        Self { child, stdin, stdout, stderr, _feeding: None, _ended: ended }
    }

    /// Writes to its standard input. A program that has stopped reading does not fail the test.
    pub(crate) fn feed(&mut self, text: &str) {
        _ = self.stdin.as_mut().expect("standard input is open").write_all(text.as_bytes());
    }

    /// Writes to its standard input from a thread, for more than the pipes hold, and closes it only when the
    /// program has ended.
    pub(crate) fn feed_beside(&mut self, text: String) {
        let mut stdin = self.stdin.take().expect("standard input is open");
        let (ended, is_ended) = mpsc::channel::<()>();
        self._feeding = Some(ended);
        thread::spawn(move || {
            _ = stdin.write_all(text.as_bytes());
            _ = is_ended.recv();
        });
    }

    /// Waits for the next line of standard output, which reports the progress on its input.
    pub(crate) fn next_line(&mut self) -> String {
        self.stdout.next_line().expect("another line on standard output")
    }

    /// Waits for the next line of standard error.
    pub(crate) fn next_remark(&mut self) -> String {
        self.stderr.next_line().expect("another line on standard error")
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill(pid(&self.child), signal).unwrap();
    }

    /// Waits for the end, without a change to its standard input.
    pub(crate) fn end_by_itself(mut self) -> Ended {
        let status = self.child.wait().unwrap();
        Ended { status, stdout: self.stdout.take(), stderr: self.stderr.take() }
    }

    /// Closes its standard input and waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        drop(self.stdin.take());
        self.end_by_itself()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails if it has already ended, which is fine.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

/// One of the child's two outputs, read as it arrives.
struct Output {
    lines: mpsc::Receiver<String>,
    seen: String,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    fn of(from: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        let reader = thread::spawn(move || {
            for line in BufReader::new(from).lines() {
                // The receiver is gone if the test has ended first.
                _ = sender.send(line.unwrap());
            }
        });
        Self { lines, seen: String::new(), reader: Some(reader) }
    }

    fn next_line(&mut self) -> Option<String> {
        let line = self.lines.recv().ok()?;
        self.seen += &line;
        self.seen.push('\n');
        Some(line)
    }

    /// All of it, once the child has ended.
    fn take(&mut self) -> String {
        while self.next_line().is_some() {}
        self.reader.take().expect("each pipe is taken once").join().unwrap();
        std::mem::take(&mut self.seen)
    }
}
