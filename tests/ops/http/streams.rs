//! The stream that the page receives.

use std::time::Duration;

use axum::Router;
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};
use tokio_supervised::ops;

use super::{HTML, JSON, ask, request, tasks_until};
use testkit::program::Program;

struct Stream(BufReader<TcpStream>);

impl Stream {
    async fn open(address: std::net::SocketAddr, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request(path, &[]).as_bytes()).await.unwrap();
        Self(BufReader::new(stream))
    }

    /// Of the start of the answer.
    async fn status(&mut self) -> u16 {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.split(' ').nth(1).expect("a status line").parse().unwrap()
    }

    async fn next(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).await.unwrap(), 0, "the stream has ended");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_stream_sends_one_snapshot_after_the_other() {
    let address = ops::listen(0).unwrap();
    let mut stream = Stream::open(address, "/debug/tasks/events").await;
    let (first, second) = (stream.next().await, stream.next().await);
    let between =
        second["at_unix_seconds"].as_f64().unwrap() - first["at_unix_seconds"].as_f64().unwrap();
    assert!(between > 0.49, "at most two in a second: {between}");
}

#[tokio::test]
async fn all_viewers_get_the_same_snapshot() {
    let address = ops::listen(0).unwrap();
    let mut one = Stream::open(address, "/debug/tasks/events").await;
    let mut other = Stream::open(address, "/debug/tasks/events").await;
    let moment = |snapshot: &Value| snapshot["at_unix_seconds"].as_f64().unwrap().to_bits();
    let first: Vec<_> =
        [one.next().await, one.next().await, one.next().await].iter().map(moment).collect();
    let second: Vec<_> = [other.next().await, other.next().await].iter().map(moment).collect();
    assert!(second.iter().all(|each| first.contains(each)), "{second:?} of {first:?}");
}

/// In a separate process: all viewers share the places.
#[tokio::test]
async fn a_33rd_viewer_gets_503_with_retry_after() {
    let directory = tempfile::tempdir().unwrap();
    let mut console = Program::example("console", directory.path(), ["--port", "0"]);
    let line = console.next_line();
    let address = line.strip_prefix("http://").unwrap().strip_suffix("/debug/tasks").unwrap();

    let (mut streams, mut refused) = (Vec::new(), None);
    let answer = loop {
        assert!(streams.len() < 1_000, "no viewer is refused");
        let mut stream = Stream::open(address.parse().unwrap(), "/debug/tasks/events").await;
        match stream.status().await {
            200 => streams.push(stream),
            status => refused = Some(status),
        }
        let answer = ask(address, "/debug/tasks", &[JSON]).await;
        // A stream ends after a while, and frees its place.
        if let (503, Some(stream)) = (answer.status, refused) {
            assert_eq!(stream, 503);
            break answer;
        }
    };
    assert!(streams.len() >= 32, "{} viewers have a place", streams.len());
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(answer.text(), "too many open streams: try again later\n");
    assert_eq!(ask(address, "/debug/tasks", &[HTML]).await.status, 200, "the page tries again");

    drop(streams);
    tasks_until(address, |text| text.starts_with("console (process ")).await;
    console.signal(Signal::SIGTERM);
    assert!(console.close_stdin().end().status.success());
}

#[tokio::test]
async fn a_server_that_answers_for_itself_is_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, ops::router()).into_future());
    let answer = ask(address, "/healthz", &[]).await;
    assert_eq!((answer.status, answer.text()), (200, "ok\n"));
    server.abort();
}

/// Its clock does not wait for the stream's 10 s to pass.
#[tokio::test(start_paused = true)]
async fn a_graceful_shutdown_does_not_wait_for_viewers() {
    let app = Router::new().nest("/internal", ops::router());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server =
        axum::serve(listener, app).with_graceful_shutdown(async { stopped.await.unwrap() });
    let server = tokio::spawn(server.into_future());

    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = request("/internal/debug/tasks/events", &[]);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 15];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 OK");
    stop.send(()).unwrap();
    timeout(Duration::from_secs(60), server).await.expect("it ends in time").unwrap().unwrap();
}
