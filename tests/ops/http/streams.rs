//! What the page listens to.

use std::time::Duration;

use axum::Router;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};
use tokio_supervised::ops;

use super::request;

struct Stream(BufReader<TcpStream>);

impl Stream {
    async fn open(address: std::net::SocketAddr, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request(path, &[]).as_bytes()).await.unwrap();
        Self(BufReader::new(stream))
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
async fn a_stream_gives_one_snapshot_after_the_other() {
    let address = ops::listen(0).unwrap();
    let mut stream = Stream::open(address, "/debug/tasks/events").await;
    let (first, second) = (stream.next().await, stream.next().await);
    let between =
        second["at_unix_seconds"].as_f64().unwrap() - first["at_unix_seconds"].as_f64().unwrap();
    assert!(between > 0.49, "at most two in a second: {between}");
}

#[tokio::test]
async fn all_who_look_see_the_same_snapshot() {
    let address = ops::listen(0).unwrap();
    let mut one = Stream::open(address, "/debug/tasks/events").await;
    let mut other = Stream::open(address, "/debug/tasks/events").await;
    let moment = |snapshot: &Value| snapshot["at_unix_seconds"].as_f64().unwrap().to_bits();
    let first: Vec<_> =
        [one.next().await, one.next().await, one.next().await].iter().map(moment).collect();
    let second: Vec<_> = [other.next().await, other.next().await].iter().map(moment).collect();
    assert!(second.iter().all(|each| first.contains(each)), "{second:?} of {first:?}");
}

/// Its clock does not wait for the stream's 10 s to pass.
#[tokio::test(start_paused = true)]
async fn a_graceful_shutdown_does_not_wait_for_who_goes_on_looking() {
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
    let mut begins = [0; 15];
    stream.read_exact(&mut begins).await.unwrap();
    assert_eq!(&begins, b"HTTP/1.1 200 OK");
    stop.send(()).unwrap();
    timeout(Duration::from_secs(60), server).await.expect("it ends").unwrap().unwrap();
}
