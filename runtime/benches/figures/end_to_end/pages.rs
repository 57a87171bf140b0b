//! Many pages of one server, sixteen at once, as `examples/fetch_all` fetches them.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Client;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_supervised::{CancellationToken, TaskError, map, supervised};

use super::{
    PAGES as SERVED, Round, alternate,
    process::{Server, print_address, processor_time},
};
use crate::settings::Settings;

pub(super) const PAGES: usize = 20_000;
const LIMIT: usize = 16;
const AT_MOST: Duration = Duration::from_secs(5);
const SIZE: usize = 1_024;

/// Why a page was not fetched.
#[derive(Debug)]
#[expect(dead_code, reason = "shown if the measurement fails")]
enum FetchError {
    Task(TaskError),
    Http(reqwest::Error),
    TimedOut,
}

impl From<TaskError> for FetchError {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error)
    }
}

async fn fetch(client: Client, url: String) -> Result<usize, FetchError> {
    let page = client.get(url).send().await?.error_for_status()?;
    Ok(page.bytes().await?.len())
}

#[supervised(limit = LIMIT, timeout = "5s")]
async fn supervised_fetch(client: Client, url: String) -> Result<usize, FetchError> {
    fetch(client, url).await
}

fn urls(server: SocketAddr) -> impl Iterator<Item = String> {
    (0..PAGES).map(move |page| format!("http://{server}/{page}"))
}

async fn ours(client: Client, server: SocketAddr) -> Result<Vec<usize>, FetchError> {
    let token = CancellationToken::new();
    map(&token, urls(server), move |token, url| supervised_fetch(token, client.clone(), url)).await
}

async fn buffered(client: Client, server: SocketAddr) -> Result<Vec<usize>, FetchError> {
    let fetches = stream::iter(urls(server)).map(|url| {
        let fetched = timeout(AT_MOST, fetch(client.clone(), url));
        async { fetched.await.unwrap_or(Err(FetchError::TimedOut)) }
    });
    fetches.buffered(LIMIT).try_collect().await
}

pub(super) fn rounds(settings: &Settings) -> Vec<[Round; 2]> {
    let runtime = &settings.all_cores();
    let server = Server::start(SERVED);
    // A proxy of the environment cannot reach the server.
    let client = Client::builder().no_proxy().build().expect("the client needs no TLS");
    let (client, address) = (&client, server.address);
    let rounds = if settings.quick { 3 } else { 7 };
    alternate(
        rounds,
        [
            Box::new(|| round(runtime, ours(client.clone(), address))),
            Box::new(|| round(runtime, buffered(client.clone(), address))),
        ],
    )
}

fn round(
    runtime: &Runtime,
    pages: impl Future<Output = Result<Vec<usize>, FetchError>> + Send + 'static,
) -> Round {
    let (before, start) = (processor_time("self"), Instant::now());
    let fetched = runtime.block_on(runtime.spawn(pages)).expect("the client does not panic");
    let (took, after) = (start.elapsed(), processor_time("self"));
    assert_eq!(fetched.expect("every page is there"), vec![SIZE; PAGES]);
    let processor_time = after.zip(before).map(|(after, before)| (after - before) / PAGES as u32);
    Round { throughput: PAGES as f64 / took.as_secs_f64(), p99: None, processor_time }
}

/// The same page for every request.
pub(super) fn serve() {
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("the operating system gives threads");
    runtime.block_on(serve_pages()).expect("the server can listen");
}

async fn serve_pages() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    print_address(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve_one(stream));
    }
}

async fn serve_one(stream: TcpStream) -> io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n");
    let page = [head.into_bytes(), vec![b'x'; SIZE]].concat();
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).await? > 0 {
        // An empty line ends the head of a request, which has no body.
        if line == b"\r\n" {
            stream.write_all(&page).await?;
        }
        line.clear();
    }
    Ok(())
}
