//! A member of the group, as a process with its own output file.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::cluster::{Cluster, TOPIC};

/// Longer than anything takes on a busy machine.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(120);

/// How often a file is checked for more: nothing notifies a reader.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(crate) fn look_again() {
    #[expect(clippy::disallowed_methods, reason = "a thread of a test, on which no task runs")]
    thread::sleep(LOOK_AGAIN);
}

/// Where the members' files are.
const DONE: &str = "done";

/// Dropped, it is killed.
pub(crate) struct Worker {
    child: Child,
    done: PathBuf,
    log: PathBuf,
}

impl Worker {
    /// Each message takes it so long.
    pub(crate) fn start(cluster: &Cluster, folder: &Path, name: &str, work: Duration) -> Self {
        Self::spawn(cluster, folder, name, name, work, &[]).ready()
    }

    /// Starts a worker with a log of this name, whose effects go into `file`.
    pub(crate) fn spawn(
        cluster: &Cluster,
        folder: &Path,
        name: &str,
        file: &str,
        work: Duration,
        more: &[&str],
    ) -> Self {
        let done = folder.join(DONE).join(file);
        fs::create_dir_all(folder.join(DONE)).unwrap();
        let path = folder.join(name);
        let log = File::options().create(true).append(true).open(&path).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_kafka_worker"))
            .args(["--brokers", &cluster.brokers(), "--topic", TOPIC])
            .args(["--work-ms", &work.as_millis().to_string(), "--done"])
            .arg(&done)
            .args(more)
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, done, log: path }
    }

    /// Waits until it has joined the group.
    pub(crate) fn ready(mut self) -> Self {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), "READY");
        self
    }

    /// The effects of this one so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.done).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until it has done so much more.
    pub(crate) fn does(&self, more: usize) {
        let (started, wanted) = (Instant::now(), self.lines().len() + more);
        while self.lines().len() < wanted {
            assert!(started.elapsed() < WATCHDOG, "{} of {wanted}", self.lines().len());
            look_again();
        }
    }

    /// When cancelled, it leaves the group in order.
    pub(crate) fn leaves(self) {
        let (code, log) = self.stops();
        assert_eq!(code, Some(0), "{log}");
    }

    /// The same while members come and go. The mock may refuse its last commit until the group is stable, for longer than a
    /// queue may take to close: what it has not committed is delivered again. A broker accepts that commit.
    pub(crate) fn leaves_a_changing_group(self) {
        let (code, log) = self.stops();
        let is_refused = code == Some(1) && log.contains("the queue could not be closed in order");
        assert!(code == Some(0) || is_refused, "{code:?}: {log}");
    }

    /// Cancels it. Returns its exit code, and its log.
    fn stops(mut self) -> (Option<i32>, String) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < WATCHDOG, "it does not stop");
            look_again();
        };
        (status.code(), fs::read_to_string(&self.log).unwrap_or_default())
    }

    pub(crate) fn dies(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail if it has ended.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// How often the cluster refused the commit of a revoked partition. The mock refuses it during a rebalance, which a
/// broker accepts.
pub(crate) fn refusals(folder: &Path, members: &[&str]) -> usize {
    let logs = members.iter().map(|member| fs::read_to_string(folder.join(member)).unwrap());
    logs.map(|log| log.matches("could not be committed").count()).sum()
}

/// How often each message was done, by partition and offset, in all files of a folder.
pub(crate) fn done(folder: &Path) -> HashMap<String, usize> {
    let mut done = HashMap::new();
    for file in fs::read_dir(folder.join(DONE)).unwrap() {
        for line in fs::read_to_string(file.unwrap().path()).unwrap().lines() {
            let mut words = line.split(' ');
            let message = format!("{} {}", words.next().unwrap(), words.next().unwrap());
            *done.entry(message).or_default() += 1;
        }
    }
    done
}

/// Waits until so many different messages are done.
pub(crate) fn until_done(folder: &Path, messages: usize) -> HashMap<String, usize> {
    let started = Instant::now();
    loop {
        let done = done(folder);
        if done.len() >= messages {
            return done;
        }
        assert!(started.elapsed() < WATCHDOG, "{} of {messages}", done.len());
        look_again();
    }
}
