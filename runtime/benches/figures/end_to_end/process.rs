//! A server in a separate process.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::SERVE;

/// Killed when it is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Server {
    /// Starts this program again, and waits until it listens.
    pub(super) fn start(what: &str) -> Self {
        let program = env::current_exe().expect("the program has a path");
        let mut child = Command::new(program)
            .args([SERVE, what])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts again");
        let stdout = child.stdout.take().expect("it is a pipe");
        let mut line = String::new();
        _ = BufReader::new(stdout).read_line(&mut line);
        let address = line.trim().parse().expect("a server prints its address");
        Self { child, address }
    }

    pub(super) fn processor_time(&self) -> Option<Duration> {
        processor_time(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Says where this process listens.
pub(super) fn print_address(address: SocketAddr) -> io::Result<()> {
    writeln!(io::stdout(), "{address}")
}

/// What the live threads of a process (a number, or `self`) have run, to the nanosecond; `None` where the system does not
/// say it.
pub(super) fn processor_time(process: &str) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let nanos = threads.map(|thread| {
        let schedule = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        schedule.split_whitespace().next()?.parse::<u64>().ok()
    });
    nanos.sum::<Option<u64>>().map(Duration::from_nanos)
}
