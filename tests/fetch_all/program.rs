//! The built example as a child process, which never outlives its test.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{OnceLock, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::sync::watch;

/// Longer than any run takes on a machine under load; a run that hangs is killed then.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Builds the example once and returns its path.
fn executable() -> &'static Path {
    static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();
    EXECUTABLE.get_or_init(build)
}

fn build() -> PathBuf {
    // `target/debug/deps/fetch_all-…`, in any target directory.
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "-p", "supervised-examples", "--example", "fetch_all"])
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
        message["target"]["name"] == "fetch_all" && message["executable"].is_string()
    };
    let message = messages.into_iter().find(is_it).expect("cargo names the executable");
    message["executable"].as_str().unwrap().into()
}

/// A running child, killed on drop.
pub(crate) struct Program {
    child: Child,
    stdout: Output,
    stderr: Output,
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
    pub(crate) fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self::start_in(Path::new(env!("CARGO_MANIFEST_DIR")), arguments, "")
    }

    pub(crate) fn start_in<A: AsRef<OsStr>>(
        directory: &Path,
        arguments: impl IntoIterator<Item = A>,
        stdin: &str,
    ) -> Self {
        let mut child = Command::new(executable())
            .args(arguments)
            .current_dir(directory)
            .env("NO_PROXY", "127.0.0.1")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A few lines, which fit into the pipe: the program does not block if nothing reads them.
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        let stdout = Output::of(child.stdout.take().unwrap());
        let stderr = Output::of(child.stderr.take().unwrap());
        let (ended, is_ended) = mpsc::channel::<()>();
        let pid = pid(&child);
        thread::spawn(move || {
            if is_ended.recv_timeout(WATCHDOG) == Err(mpsc::RecvTimeoutError::Timeout) {
                _ = kill(pid, Signal::SIGKILL);
            }
        });
        Self { child, stdout, stderr, _ended: ended }
    }

    pub(crate) fn interrupt(&self) {
        kill(pid(&self.child), Signal::SIGINT).unwrap();
    }

    /// Waits for this text on standard error.
    pub(crate) async fn says(&self, text: &str) {
        let mut said = self.stderr.text.clone();
        said.wait_for(|said| said.contains(text)).await.expect("it prints this before it ends");
    }

    /// Waits for the end on another thread, while the test's server keeps running.
    pub(crate) async fn end(mut self) -> Ended {
        let waited = tokio::task::spawn_blocking(move || {
            let status = self.child.wait().unwrap();
            Ended { status, stdout: self.stdout.take(), stderr: self.stderr.take() }
        });
        waited.await.unwrap()
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

/// One of the child's two outputs, as far as it has been read.
struct Output {
    text: watch::Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    fn of(from: impl Read + Send + 'static) -> Self {
        let (sender, text) = watch::channel(String::new());
        let reader = thread::spawn(move || {
            for line in BufReader::new(from).lines() {
                let line = line.unwrap() + "\n";
                sender.send_modify(|text| text.push_str(&line));
            }
        });
        Self { text, reader: Some(reader) }
    }

    /// All of it, once the child has ended.
    fn take(&mut self) -> String {
        self.reader.take().expect("each pipe is taken once").join().unwrap();
        self.text.borrow().clone()
    }
}

impl Ended {
    /// The value in a column of the table.
    pub(crate) fn column(&self, head: &str) -> String {
        // `timed out` is the only heading with a space.
        let table = self.stdout.replace("timed out", "timed_out");
        let mut lines = table.lines().map(str::split_whitespace);
        let (heads, values) = (lines.next().unwrap(), lines.next().unwrap());
        let mut columns = heads.zip(values);
        let column = columns.find(|(name, _)| *name == head.replace(' ', "_"));
        column.unwrap_or_else(|| panic!("no column `{head}`: {self:#?}")).1.to_owned()
    }

    /// The five counts: ok, failed, panicked, timed out, cancelled.
    pub(crate) fn counts(&self) -> [usize; 5] {
        ["ok", "failed", "panicked", "timed out", "cancelled"]
            .map(|head| self.column(head).parse().unwrap())
    }
}
