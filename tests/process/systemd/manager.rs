//! The socket of a service manager, and the messages on it.

use std::{
    io::ErrorKind,
    os::unix::net::UnixDatagram,
    process::Command,
    time::{Duration, Instant},
};

use crate::MAINS;
use testkit::program::Program;

/// Longer than anything takes on a busy machine.
const WATCHDOG: Duration = Duration::from_secs(60);

pub(crate) struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        Self { socket, folder }
    }

    /// A program that the manager has started.
    pub(crate) fn start(&self, body: &str) -> Program {
        Program::spawn(&mut self.command(body))
    }

    /// The same, of a unit with a `WatchdogSec`.
    pub(crate) fn start_watched(&self, body: &str, every: Duration) -> Program {
        Program::spawn(self.command(body).env("WATCHDOG_USEC", every.as_micros().to_string()))
    }

    pub(crate) fn command(&self, body: &str) -> Command {
        let mut command = Command::new(MAINS);
        command
            .arg(format!("systemd: {body}"))
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        command.env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID");
        command
    }

    /// From now on its queue is full, and it does not read.
    pub(crate) fn stop_reading(&self) {
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        sender.connect(self.folder.path().join("notify")).unwrap();
        let error = loop {
            if let Err(error) = sender.send(b"FILLER=1\n") {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }

    /// The next message.
    pub(crate) fn next_message(&self) -> String {
        self.message_within(WATCHDOG).expect("a running program sends messages")
    }

    /// The next message, if it comes within that time.
    pub(crate) fn message_within(&self, time: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let mut message = [0; 256];
        match self.socket.recv(&mut message) {
            Ok(length) => Some(String::from_utf8(message[..length].to_vec()).unwrap()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The messages that have already arrived.
    pub(crate) fn pending_messages(&self) -> Vec<String> {
        std::iter::from_fn(|| self.message_within(Duration::from_millis(1))).collect()
    }

    /// How many messages come within that time.
    pub(crate) fn count_within(&self, time: Duration) -> usize {
        let end = Instant::now() + time;
        let left = || end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
        std::iter::from_fn(|| self.message_within(left()?)).count()
    }
}
