//! Whatever a client can accumulate is bounded.
//!
//! The server runs in a separate process with few descriptors: an ignored test of this target that is controlled by
//! lines on its standard input.

use std::{
    fmt::Write as _,
    io::{self, BufRead, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::resource::{Resource, setrlimit},
    unistd::{Uid, setuid},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_supervised::{CancellationToken, TaskError, ops, supervised};

use super::{JSON, ask, request};

/// The server's limits, in `runtime/src/observe/ops`.
const CONNECTIONS: usize = 64;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const VIEWERS: usize = 32;

/// Tolerated delay on a busy machine.
const SLACK: Duration = Duration::from_secs(8);
const WATCHDOG: Duration = Duration::from_secs(60);

/// Of the server's process: enough for its connections and for its runtime.
const DESCRIPTORS: u64 = 128;

struct Server {
    child: Child,
    stdin: ChildStdin,
    stdout: io::Lines<io::BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "bounds::fixture_server", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = io::BufReader::new(child.stdout.take().unwrap()).lines();
        let address = SocketAddr::from(([0; 4], 0));
        let mut server = Self { child, stdin, stdout, address };
        server.address = server.line("address ").parse().unwrap();
        server
    }

    /// The rest of the line after that word.
    fn line(&mut self, word: &str) -> String {
        loop {
            let line = self.stdout.next().expect("the server keeps running").unwrap();
            // The test runner prints its own text, without a line break, before it.
            if let Some((_, rest)) = line.split_once(word) {
                return rest.to_owned();
            }
        }
    }

    /// Whether the program can still serve the page.
    fn can(&mut self, what: &str) -> String {
        writeln!(self.stdin, "{what}").unwrap();
        self.line("result ")
    }

    fn sockets(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target.to_string_lossy().starts_with("socket:"))
            .count()
    }

    fn resident_megabytes(&self) -> usize {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096 / 1_000_000
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_server() {
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS).unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let address = ops::listen(0).unwrap();
        println!("address {address}");
        for _ in 0..16 {
            _ = panics(&CancellationToken::new()).await;
        }
        tokio::task::spawn_blocking(obey).await.unwrap();
    });
    std::process::exit(0);
}

fn obey() {
    for line in io::stdin().lines() {
        match line.unwrap().as_str() {
            "open a file" => {
                println!("result {:?}", std::fs::File::open("/proc/self/statm").map(drop));
            }
            "start a thread" => {
                println!("result {:?}", std::thread::Builder::new().spawn(|| ()).map(drop));
            }
            "lose threads" => {
                lose_threads();
                println!("result Ok(())");
            }
            other => panic!("{other}"),
        }
    }
}

/// From now on, the process cannot start a thread.
fn lose_threads() {
    setrlimit(Resource::RLIMIT_NPROC, 0, 0).unwrap();
    if Uid::effective().is_root() {
        // The limit does not apply to root.
        setuid(Uid::from_raw(65_534)).unwrap();
    }
    std::thread::Builder::new().spawn(|| ()).expect_err("there is a limit");
}

#[supervised]
async fn panics() -> Result<(), TaskError> {
    panic!("{}", "\u{1F600}".repeat(2_000));
}

/// Half of a request; the connection stays open.
async fn half_a_request(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /healthz HT").await.unwrap();
    stream
}

/// Polls until the condition holds; `what` describes a timeout.
async fn within<T>(time: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let until_so = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(time, until_so).await.ok()
}

#[tokio::test]
async fn half_sent_requests_take_64_descriptors_and_no_more() {
    let mut server = Server::start();
    let mut half_sent = Vec::new();
    for _ in 0..200 {
        half_sent.push(half_a_request(server.address).await);
    }
    let full = within(SLACK, async || (server.sockets() >= CONNECTIONS).then_some(())).await;
    assert!(full.is_some(), "{} sockets", server.sockets());
    assert_eq!(server.can("open a file"), "Ok(())");
    // Its listener, and the event descriptors of its runtimes.
    let sockets = server.sockets();
    assert!(sockets <= CONNECTIONS + 6, "{sockets} sockets");
}

#[tokio::test]
async fn half_sent_requests_are_closed_and_the_next_client_is_served() {
    let server = Server::start();
    let mut half_sent = Vec::new();
    for _ in 0..CONNECTIONS {
        half_sent.push(half_a_request(server.address).await);
    }
    let started = Instant::now();
    let answer = timeout(HEAD_TIMEOUT + SLACK, ask(server.address, "/healthz", &[])).await;
    assert_eq!(answer.expect("a place becomes free in time").status, 200);
    for mut stream in half_sent {
        let mut rest = Vec::new();
        let left = (HEAD_TIMEOUT + SLACK).saturating_sub(started.elapsed());
        timeout(left, stream.read_to_end(&mut rest)).await.expect("it is closed").unwrap();
    }
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let server = Server::start();
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(request("/readyz", &[]).as_bytes()).await.unwrap();
    for stream in [&mut silent, &mut idle] {
        let mut answer = Vec::new();
        let ended = timeout(HEAD_TIMEOUT + SLACK, stream.read_to_end(&mut answer)).await;
        ended.expect("it is closed").unwrap();
    }
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_too() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let trickles = async {
        loop {
            if stream.write_all(b"G").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(HEAD_TIMEOUT + SLACK, trickles).await.expect("it is closed");
}

#[tokio::test]
async fn large_heads_are_refused_and_take_little_memory() {
    let server = Server::start();
    ask(server.address, "/debug/tasks", &[JSON]).await;
    let before = server.resident_megabytes();
    let mut large = String::from("GET /healthz HTTP/1.1\r\nhost: localhost\r\n");
    for n in 0..90 {
        write!(large, "x-{n}: {}\r\n", "x".repeat(4_200)).unwrap();
    }
    let mut open = Vec::new();
    // Fewer than the server's descriptors: it would buffer 380 kB for each.
    for _ in 0..100 {
        let stream = TcpStream::connect(server.address).await.unwrap();
        // An error means that the server has closed the connection already.
        _ = stream.try_write(large.as_bytes());
        open.push(stream);
    }
    let held = async {
        let mut most = 0;
        for _ in 0..50 {
            most = most.max(server.resident_megabytes());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        most
    };
    let most = held.await;
    assert!(most < before + 15, "{before} MB before, {most} MB with 100 large heads");
    drop(open);
    assert_eq!(ask(server.address, "/healthz", &[]).await.status, 200);
}

/// A client with the smallest receive buffer that reads nothing.
async fn viewer_that_does_not_read(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1_024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(request("/debug/tasks/events", &[]).as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn viewers_that_do_not_read_are_disconnected() {
    let server = Server::start();
    let started = Instant::now();
    let mut stuck = Vec::new();
    for _ in 0..VIEWERS {
        stuck.push(viewer_that_does_not_read(server.address).await);
    }
    let status = async || ask(server.address, "/debug/tasks", &[JSON]).await.status;
    let full = within(Duration::from_secs(5), async || (status().await == 503).then_some(())).await;
    assert!(full.is_some(), "they have no places");
    let stream = Duration::from_secs(10);
    let left = (stream + SLACK).saturating_sub(started.elapsed());
    let free = within(left, async || (status().await == 200).then_some(())).await;
    assert!(free.is_some(), "they keep their places");
    let stall = Duration::from_secs(5);
    let left = (stream + stall + SLACK).saturating_sub(started.elapsed());
    let closed = within(left, async || (server.sockets() < VIEWERS / 2).then_some(())).await;
    assert!(closed.is_some(), "{} sockets", server.sockets());
    drop(stuck);
}

#[tokio::test]
async fn a_router_frees_the_places_of_viewers_that_do_not_read() {
    // In a separate process: all viewers of a process share the places.
    let output = tokio::task::spawn_blocking(|| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "bounds::fixture_router", "--ignored", "--nocapture"])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    });
    let output = timeout(WATCHDOG, output).await.expect("it ends in time").unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

#[tokio::test]
#[ignore = "fixture of another test"]
async fn fixture_router() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, ops::router()).into_future());
    std::panic::set_hook(Box::new(|_| {}));
    for _ in 0..16 {
        _ = panics(&CancellationToken::new()).await;
    }
    let mut stuck = Vec::new();
    for _ in 0..VIEWERS {
        stuck.push(viewer_that_does_not_read(address).await);
    }
    let status = async || ask(address, "/debug/tasks", &[JSON]).await.status;
    let full = within(Duration::from_secs(5), async || (status().await == 503).then_some(())).await;
    assert!(full.is_some(), "they have no places");
    let free = Duration::from_secs(10) + SLACK;
    let free = within(free, async || (status().await == 200).then_some(())).await;
    assert!(free.is_some(), "they keep their places");
    drop(stuck);
}

#[tokio::test]
async fn a_server_without_threads_answers_503() {
    let mut server = Server::start();
    assert_eq!(ask(server.address, "/healthz", &[]).await.status, 200);
    // The feed's own thread ends without viewers.
    assert_eq!(server.can("lose threads"), "Ok(())");
    for path in ["/debug/tasks", "/debug/tasks/events", "/debug/tasks/backtraces/1"] {
        let answer = ask(server.address, path, &[JSON]).await;
        assert_eq!((path, answer.status), (path, 503));
    }
    assert_eq!(ask(server.address, "/metrics", &[]).await.status, 200);
}

#[test]
fn listen_returns_an_error_if_there_is_no_thread() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "bounds::fixture_no_thread", "--ignored", "--nocapture"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    // The runner's own thread exists already.
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("listen: failed to start the thread of the ops page: "), "{output:?}");
}

/// Exits before the runner, which would start threads too.
#[test]
#[ignore = "fixture of another test"]
fn fixture_no_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    lose_threads();
    runtime.block_on(async {
        match ops::listen(0) {
            Ok(address) => println!("listen: {address}"),
            Err(error) => println!("listen: {error}"),
        }
    });
    std::process::exit(0);
}
