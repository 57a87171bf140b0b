//! A child process that never outlives its test.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

pub use nix::sys::signal::Signal::{self, SIGINT, SIGTERM, SIGUSR1};
use nix::{sys::signal::kill, unistd::Pid};

use crate::watchdog::WATCHDOG;

/// Added to upper bounds of time, for busy machines.
pub const SLACK: Duration = Duration::from_secs(8);

/// The executable of an example. The first call builds all of them.
fn executable(example: &str) -> &'static Path {
    static BUILT: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).get(example).expect("there is such an example")
}

/// Builds all examples, as `cargo run --example` at the root does.
fn build() -> HashMap<String, PathBuf> {
    // `target/debug/deps/examples-…`, wherever the target directory is.
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--examples", "--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(built.status.success(), "the examples do not build");
    let messages = String::from_utf8(built.stdout).unwrap();
    let messages = messages.lines().map(|line| serde_json::from_str(line).unwrap());
    let example = |message: serde_json::Value| {
        let path = message["executable"].as_str()?.into();
        Some((message["target"]["name"].as_str()?.to_owned(), path))
    };
    messages.filter_map(example).collect()
}

/// A running program. Killed when it is dropped, and after [`WATCHDOG`].
#[derive(Debug)]
pub struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Output,
    stderr: Output,
    /// Dropped with the program: its standard input is closed then.
    feeding: Option<mpsc::Sender<()>>,
    /// Its drop ends the watchdog.
    _ended: mpsc::Sender<()>,
}

/// How a program ended, and all that it printed.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its whole standard output.
    pub stdout: String,
    /// Its whole standard error.
    pub stderr: String,
}

impl Program {
    /// Starts a program of the tests, which runs the named body.
    pub fn start(path: &str, body: &str) -> Self {
        Self::spawn(Command::new(path).arg(body))
    }

    /// The same with a closed standard error: a write to it fails.
    pub fn start_without_stderr(path: &str, body: &str) -> Self {
        let mut child = Self::piped(Command::new(path).arg(body));
        drop(child.stderr.take());
        Self::watch(child)
    }

    /// Starts an example in a directory.
    pub fn example<A: AsRef<OsStr>>(
        name: &str,
        directory: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self::example_with(name, directory, arguments, [])
    }

    /// The same with these variables in its environment.
    pub fn example_with<A: AsRef<OsStr>, const N: usize>(
        name: &str,
        directory: &Path,
        arguments: impl IntoIterator<Item = A>,
        variables: [(&str, &str); N],
    ) -> Self {
        let mut command = Command::new(executable(name));
        Self::spawn(command.args(arguments).current_dir(directory).envs(variables))
    }

    /// Starts a command with pipes for its standard input and outputs.
    pub fn spawn(command: &mut Command) -> Self {
        Self::watch(Self::piped(command))
    }

    fn piped(command: &mut Command) -> Child {
        command
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts")
    }

    fn watch(mut child: Child) -> Self {
        let stdin = child.stdin.take();
        let stdout = Output::of(child.stdout.take());
        let stderr = Output::of(child.stderr.take());
        let (ended, has_ended) = mpsc::channel::<()>();
        let pid = pid(&child);
        thread::spawn(move || {
            if has_ended.recv_timeout(WATCHDOG) == Err(mpsc::RecvTimeoutError::Timeout) {
                _ = kill(pid, Signal::SIGKILL);
            }
        });
        Self { child, stdin, stdout, stderr, feeding: None, _ended: ended }
    }

    /// Writes to its standard input. A program that has stopped reading does not fail the test.
    pub fn feed(&mut self, text: &str) {
        _ = self.stdin.as_mut().expect("standard input is open").write_all(text.as_bytes());
    }

    /// Writes to its standard input from a thread, for more than the pipes hold. Standard input stays open until the
    /// program has ended.
    pub fn feed_beside(&mut self, text: String) {
        let mut stdin = self.stdin.take().expect("standard input is open");
        let (ended, has_ended) = mpsc::channel::<()>();
        self.feeding = Some(ended);
        thread::spawn(move || {
            _ = stdin.write_all(text.as_bytes());
            _ = has_ended.recv();
        });
    }

    /// Closes its standard input.
    pub fn close_stdin(&mut self) -> &mut Self {
        drop(self.stdin.take());
        self
    }

    /// Waits for the next line of standard output.
    #[track_caller]
    pub fn next_line(&mut self) -> String {
        self.stdout.next_line().expect("it ends without another line on standard output")
    }

    /// Waits for the next line of standard error.
    #[track_caller]
    pub fn next_remark(&mut self) -> String {
        self.stderr.next_line().expect("it ends without another line on standard error")
    }

    /// Waits until it prints this line.
    #[track_caller]
    pub fn wait_for(&mut self, wanted: &str) -> &mut Self {
        loop {
            match self.stdout.next_line() {
                Some(line) if line.trim_end() == wanted => return self,
                Some(_) => {}
                None => panic!("ended without {wanted}: {:?}", self.stdout.seen),
            }
        }
    }

    /// The lines of standard error as they come, without their ends. [`Ended::stderr`] lacks them.
    pub fn take_stderr(&mut self) -> mpsc::Receiver<String> {
        std::mem::replace(&mut self.stderr, Output::of(None::<std::io::Empty>)).lines
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(pid(&self.child), signal).expect("it is not waited for yet");
    }

    /// The same, within a chain of calls.
    pub fn send(&mut self, signal: Signal) -> &mut Self {
        self.signal(signal);
        self
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        pid(&self.child).as_raw()
    }

    /// Waits for the end. Its standard input stays as it is until then.
    pub fn end(&mut self) -> Ended {
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        // `wait` closes what is left in the child.
        let stdin = self.stdin.take();
        let status = self.child.wait().expect("it is a child");
        drop((stdin, self.feeding.take()));
        Ended { status, stdout, stderr }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail if it has ended and was waited for.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().expect("a process id is an `i32`"))
}

/// One of the child's two outputs, read as it comes.
#[derive(Debug)]
struct Output {
    lines: mpsc::Receiver<String>,
    seen: String,
}

impl Output {
    /// All lines are read, even if the test has stopped listening: a full pipe would block the program.
    fn of(from: Option<impl Read + Send + 'static>) -> Self {
        let (sender, lines) = mpsc::channel();
        if let Some(from) = from {
            thread::spawn(move || {
                let mut from = BufReader::new(from);
                let mut line = Vec::new();
                while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                    _ = sender.send(String::from_utf8_lossy(&line).into_owned());
                    line.clear();
                }
            });
        }
        Self { lines, seen: String::new() }
    }

    /// The next line without its end. `None` if the program, the only writer, has ended.
    fn next_line(&mut self) -> Option<String> {
        let line = self.lines.recv().ok()?;
        self.seen += &line;
        Some(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// All of it, once the child has ended.
    fn take(&mut self) -> String {
        while self.next_line().is_some() {}
        std::mem::take(&mut self.seen)
    }
}

impl Ended {
    /// Fails unless it ended with this exit code.
    #[track_caller]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{} {:?}", self.status, self.stderr);
        self
    }

    /// Fails unless a signal ended it.
    #[track_caller]
    pub fn by_signal(self, signal: Signal) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let by = self.status.signal();
        assert_eq!(by, Some(signal as i32), "{} {:?}", self.status, self.stderr);
        self
    }

    /// Fails unless its standard error contains this.
    #[track_caller]
    pub fn with_stderr(self, wanted: &str) -> Self {
        assert!(self.stderr.contains(wanted), "no {wanted:?} in {:?}", self.stderr);
        self
    }

    /// Fails unless its standard output ends with this.
    #[track_caller]
    pub fn with_stdout(self, wanted: &str) -> Self {
        assert!(self.stdout.ends_with(wanted), "no {wanted:?} at the end of {:?}", self.stdout);
        self
    }
}
