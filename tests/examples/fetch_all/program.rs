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

/// Builds the example once, and tells where it is.
fn executable() -> &'static Path {
    static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();
    EXECUTABLE.get_or_init(build)
}

fn build() -> PathBuf {
    // `target/debug/deps/fetch_all-…`, wherever the target directory is.
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
    assert!(built.status.success(), "the example does not build");
    let messages = String::from_utf8(built.stdout).unwrap();
    let messages = messages.lines().map(|line| serde_json::from_str(line).unwrap());
    let is_it = |message: &serde_json::Value| {
        message["target"]["name"] == "fetch_all" && message["executable"].is_string()
    };
    let message = messages.into_iter().find(is_it).expect("cargo names the executable");
    message["executable"].as_str().unwrap().into()
}

/// A running child; dropped, it is killed.
pub(crate) struct Program {
    child: Child,
    stdout: Output,
    stderr: Output,
    /// Dropped with the program: its watchdog ends then.
    _ended: mpsc::Sender<()>,
}

/// What a child left.
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
        // A few lines, which the pipe holds: nobody has to read them for this to go on.
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

    /// Waits until it has said so on standard error.
    pub(crate) async fn says(&self, text: &str) {
        let mut said = self.stderr.text.clone();
        said.wait_for(|said| said.contains(text)).await.expect("it ends without having said it");
    }

    /// Waits for the end, on a thread of its own, so that the test's server goes on.
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
        // Fails where it has ended, which is as well.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

/// One of the child's two outputs, as far as it has come.
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
        self.reader.take().expect("taken once").join().unwrap();
        self.text.borrow().clone()
    }
}

impl Ended {
    /// The value in a column of the table.
    pub(crate) fn column(&self, head: &str) -> String {
        // `timed out` is the one head with a space in it.
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
