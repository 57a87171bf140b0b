//! A child process that never outlives its test.

use std::{
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};

/// A process that still runs after this time is killed. Longer than the long form takes on a machine under load.
const WATCHDOG: Duration = Duration::from_secs(900);

/// How long a server may take to stop before it is killed.
const ENDING: Duration = Duration::from_secs(10);

pub(crate) struct Running {
    pub(crate) child: Child,
    /// The signal that stops it; `SIGKILL` if it has nothing to clean up.
    last: Signal,
    /// Its drop ends the watchdog.
    _ended: Sender<()>,
}

/// Returns a command whose process ends with the thread that starts it, even if that is killed.
pub(crate) fn command(setpriv: &Path, last: Signal, program: &Path) -> Command {
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", last.as_str(), "--"]).arg(program);
    command
}

/// Like [`command`], as the user `nobody` if the test runs as root, which PostgreSQL refuses.
pub(crate) fn as_nobody(setpriv: &Path, last: Signal, program: &Path) -> Command {
    if !Uid::effective().is_root() {
        return command(setpriv, last, program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]);
    command.args(["--pdeathsig", last.as_str(), "--"]).arg(program);
    command
}

impl Running {
    pub(crate) fn start(mut command: Command, last: Signal) -> Self {
        let child = command.spawn().unwrap();
        let (ended, is_ended) = channel::<()>();
        let pid = pid(&child);
        thread::spawn(move || {
            if is_ended.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout) {
                _ = kill(pid, Signal::SIGKILL);
            }
        });
        Self { child, last, _ended: ended }
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill(pid(&self.child), signal).unwrap();
    }

    /// Waits for the end, and kills the process at `limit`.
    pub(crate) fn end(&mut self, limit: Duration) -> Option<ExitStatus> {
        let started = Instant::now();
        while started.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            // Polled: waiting for SIGCHLD would take the signals of the whole test process.
            pause(Duration::from_millis(2));
        }
        _ = self.child.kill();
        _ = self.child.wait();
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            _ = kill(pid(&self.child), self.last);
            self.end(ENDING);
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

/// Polls until `is_so` is true: the servers do not notify of changes.
pub(crate) fn until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < limit, "timed out: {what}");
        pause(Duration::from_millis(5));
    }
}

/// Sleeps on the test's thread: between two polls, or during a measurement.
#[expect(clippy::disallowed_methods, reason = "no task runs on this thread meanwhile")]
pub(crate) fn pause(time: Duration) {
    thread::sleep(time);
}
