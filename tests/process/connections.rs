//! The connections of a server that is stopped.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::start;
use testkit::program::SIGTERM;

const IDLE: usize = 250;
const BUSY: usize = 50;

/// Longer than anything takes here on a machine under load.
const WATCHDOG: Duration = Duration::from_secs(30);

/// From the last answer to the end of the process.
const AT_ONCE: Duration = Duration::from_millis(100);

/// How often the test may try to be that fast: other processes may hold both processors for a while.
const TRIES: usize = 5;

struct Client(TcpStream);

impl Client {
    /// Connects, and is served once.
    fn served(address: &str) -> Self {
        let mut client = Self(TcpStream::connect(address).unwrap());
        client.0.set_read_timeout(Some(WATCHDOG)).unwrap();
        client.0.set_nodelay(true).unwrap();
        client.send("hello\n");
        client.receives("hello\n");
        client
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    fn receives(&mut self, text: &str) {
        let mut read = vec![0; text.len()];
        self.0.read_exact(&mut read).unwrap();
        assert_eq!(String::from_utf8_lossy(&read), text);
    }

    fn is_closed(&mut self) {
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0, "the server closes it");
    }
}

/// Returns the time from the last answer to the end of the process.
fn stop() -> Duration {
    let mut program = start("connections", "");
    let address = program.next_line();
    let clients = |count| (0..count).map(|_| Client::served(&address)).collect::<Vec<_>>();
    let (mut idle, mut busy) = (clients(IDLE), clients(BUSY));
    for client in &mut busy {
        client.send("<half");
        assert_eq!(program.next_line(), "BUSY");
    }
    program.send(SIGTERM);
    idle.iter_mut().for_each(Client::is_closed);
    // The idle ones are gone. Each busy one sends its second half after the signal, and is answered.
    busy.iter_mut().for_each(|client| client.send(" and half\n"));
    busy.iter_mut().for_each(|client| client.receives("<half and half\n"));
    let answered = Instant::now();
    let ended = program.end();
    let took = answered.elapsed();
    busy.iter_mut().for_each(Client::is_closed);
    let ended = ended.with_code(0);
    assert!(ended.stdout.contains("\nDRAINED "), "{}", ended.stdout);
    took
}

#[test]
fn a_stopped_pool_answers_what_is_in_flight_and_ends_at_once() {
    let mut all = Vec::new();
    while all.len() < TRIES && all.iter().all(|took| *took >= AT_ONCE) {
        all.push(stop());
    }
    assert!(all.iter().any(|took| *took < AT_ONCE), "{all:?}");
}
