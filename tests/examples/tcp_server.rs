//! The example `tcp_server`, run as a program and asked over loopback.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use nix::sys::signal::Signal;
use testkit::program::{Ended, Program};

/// Longer than any answer takes on a machine under load.
const WATCHDOG: Duration = Duration::from_secs(30);

fn start(arguments: &[&str]) -> (Program, String) {
    let arguments = ["--listen", "127.0.0.1:0"].iter().chain(arguments);
    let mut program = Program::example("tcp_server", Path::new("."), arguments);
    let ready = program.next_line();
    let address = ready.strip_prefix("READY ").expect("it names its address").to_owned();
    (program, address)
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next line, empty at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn exchange(&mut self, line: &str) -> String {
        self.send(line);
        self.line()
    }
}

fn terminate(mut program: Program) -> Ended {
    program.signal(Signal::SIGTERM);
    program.end()
}

#[test]
fn every_line_is_answered_in_order() {
    let (program, address) = start(&[]);
    let mut client = Client::connect(&address);
    client.send("one\ntwo\n");
    assert_eq!(client.line(), "ONE\n");
    assert_eq!(client.line(), "TWO\n");
    drop(client);
    let ended = terminate(program);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
}

#[test]
fn a_full_server_serves_the_next_client_when_one_leaves() {
    let (program, address) = start(&["--connections", "1"]);
    let mut first = Client::connect(&address);
    assert_eq!(first.exchange("first\n"), "FIRST\n");
    let mut second = Client::connect(&address);
    second.send("second\n");
    // The first client is still the only one that is served.
    assert_eq!(first.exchange("again\n"), "AGAIN\n");
    second.0.get_ref().set_nonblocking(true).unwrap();
    let early = second.0.get_mut().read(&mut [0; 1]).map_err(|error| error.kind());
    assert_eq!(early, Err(ErrorKind::WouldBlock));
    second.0.get_ref().set_nonblocking(false).unwrap();
    drop(first);
    assert_eq!(second.line(), "SECOND\n");
    let ended = terminate(program);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
}

#[test]
fn an_idle_client_is_disconnected() {
    let (program, address) = start(&["--idle", "0.1"]);
    let mut client = Client::connect(&address);
    assert_eq!(client.line(), "idle for too long\n");
    assert_eq!(client.line(), "", "the connection is closed");
    let ended = terminate(program);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
}

#[test]
fn a_line_without_an_end_is_refused() {
    let (program, address) = start(&[]);
    let mut client = Client::connect(&address);
    assert_eq!(client.exchange(&"x".repeat(8 * 1024)), "the line is too long\n");
    assert_eq!(client.line(), "", "the connection is closed");
    let ended = terminate(program);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
}

#[test]
fn a_signal_closes_an_idle_connection_with_a_word() {
    let (mut program, address) = start(&[]);
    let mut client = Client::connect(&address);
    assert_eq!(client.exchange("served\n"), "SERVED\n");
    program.signal(Signal::SIGTERM);
    assert_eq!(client.line(), "bye\n");
    assert_eq!(client.line(), "", "the connection is closed");
    let ended = program.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
}

#[test]
fn the_operator_ends_one_connection() {
    let (mut program, address) = start(&[]);
    let [mut first, mut second] = [(); 2].map(|()| Client::connect(&address));
    assert_eq!(first.exchange("first\n"), "FIRST\n");
    assert_eq!(second.exchange("second\n"), "SECOND\n");
    let peer = first.0.get_ref().local_addr().unwrap();
    program.feed(&format!("not a peer\n{peer}\n"));
    assert_eq!(first.line(), "bye\n");
    assert_eq!(first.line(), "", "the connection is closed");
    assert_eq!(second.exchange("still here\n"), "STILL HERE\n");
    drop(second);
    let ended = terminate(program);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
}

#[test]
fn lines_that_arrived_before_a_signal_are_answered() {
    let (mut program, address) = start(&["--work", "0.2"]);
    let mut client = Client::connect(&address);
    client.send("one\ntwo\nthree\n");
    assert_eq!(client.line(), "ONE\n");
    program.signal(Signal::SIGTERM);
    while !program.next_remark().contains("shutting down") {}
    let ended = program.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let mut rest = String::new();
    client.0.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "TWO\nTHREE\nbye\n");
}

#[test]
fn an_address_in_use_is_named_and_exits_with_one() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended =
        Program::example("tcp_server", Path::new("."), ["--listen", &address]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert!(ended.stderr.contains(&format!("cannot listen on {address}")), "{ended:#?}");
}

#[test]
fn help_names_the_flags_and_the_exit_codes() {
    let ended = Program::example("tcp_server", Path::new("."), ["--help"]).close_stdin().end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    for text in ["--listen", "--connections", "--idle", "--work", "  0  stopped", "  75 a conn"] {
        assert!(ended.stdout.contains(text), "no `{text}`: {ended:#?}");
    }
}
