//! A process that does not outlive its test, whatever becomes of it.

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

/// Longer than the long form takes on a machine under load; a process that is there after that is killed.
const WATCHDOG: Duration = Duration::from_secs(900);

/// How long a server may take to end by itself before it is killed.
const ENDING: Duration = Duration::from_secs(10);

pub(crate) struct Running {
    pub(crate) child: Child,
    /// What it is asked to end with; `SIGKILL` for one that leaves nothing behind.
    last: Signal,
    /// Dropped with it: its watchdog ends then.
    _ended: Sender<()>,
}

/// A command that ends with the thread that starts it, also where that is killed.
pub(crate) fn command(setpriv: &Path, last: Signal, program: &Path) -> Command {
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", last.as_str(), "--"]).arg(program);
    command
}

/// The same as nobody, where the test is root: PostgreSQL refuses to be.
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

    /// Waits for the end, and kills what does not come to it.
    pub(crate) fn end(&mut self, limit: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            // Nobody tells of a child's end without taking all signals of the process.
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

/// Waits until it is so: what servers keep has no way to tell that it has changed.
pub(crate) fn until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < limit, "it never comes to it: {what}");
        pause(Duration::from_millis(5));
    }
}

/// Lets a time pass on the test's own thread: between two looks, or while something is measured.
#[expect(clippy::disallowed_methods, reason = "no task runs on this thread meanwhile")]
pub(crate) fn pause(time: Duration) {
    thread::sleep(time);
}
