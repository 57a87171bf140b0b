//! A server on loopback that knows how many requests it holds.

use std::{future, io, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::StatusCode,
    response::Html,
    routing::{any, get},
};
use futures::{StreamExt, stream};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, yield_now},
    time::timeout,
};

/// The limit of the example's `fetch`.
pub(crate) const LIMIT: usize = 16;

/// For anything that a correct client triggers soon.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Requests {
    pub(crate) arrived: usize,
    pub(crate) in_flight: usize,
    pub(crate) peak: usize,
}

pub(crate) struct Server {
    address: String,
    requests: Arc<watch::Sender<Requests>>,
    serving: JoinHandle<io::Result<()>>,
}

type Requested = State<Arc<watch::Sender<Requests>>>;

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(watch::Sender::new(Requests::default()));
        let app = Router::new()
            .route("/page/{n}", get(|Path(n)| async move { page(n) }))
            .route("/batch/{n}", get(batch))
            .route("/failing", any(StatusCode::INTERNAL_SERVER_ERROR))
            .route("/cut", get(cut))
            .route("/bad-title", get(|| async { Html("</title><title>") }))
            .route("/silent", get(silent))
            .route("/half", get(half))
            .with_state(requests.clone());
        let serving = tokio::spawn(axum::serve(listener, app).into_future());
        Self { address, requests, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The file name that the example gives a page.
    pub(crate) fn file_name(&self, number: usize, path: &str) -> String {
        let address = self.address.replace(':', "_");
        format!("{number:05}-{address}_{}", path.replace('/', "_"))
    }

    pub(crate) fn requests(&self) -> Requests {
        *self.requests.borrow()
    }

    /// Waits until this many of the endless requests are held.
    pub(crate) async fn holds(&self, requests: usize) {
        let mut seen = self.requests.subscribe();
        let held = seen.wait_for(|seen| seen.in_flight >= requests);
        timeout(DEADLINE, held).await.expect("the requests arrive in time").unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// One request, while the server holds it.
struct InFlight(Arc<watch::Sender<Requests>>);

impl InFlight {
    /// Counts it, and returns how many came before it.
    fn start(State(requests): Requested) -> (Self, usize) {
        let mut before = 0;
        requests.send_modify(|seen| {
            before = seen.arrived;
            seen.arrived += 1;
            seen.in_flight += 1;
            seen.peak = seen.peak.max(seen.in_flight);
        });
        (Self(requests), before)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.send_modify(|seen| seen.in_flight -= 1);
    }
}

/// A body that differs for each page, with a length that few pages share.
pub(crate) fn page(n: usize) -> Bytes {
    let bytes = |at: usize| (n * 31 + at * 7 + at / 251) as u8;
    let mut body = n.to_le_bytes().to_vec();
    body.extend((0..n * 13 % 4096).map(bytes));
    body.into()
}

/// Holds each request until as many have arrived as the client may have in flight. A client with fewer never
/// continues; one with more is detected.
async fn batch(requested: Requested, Path(n): Path<usize>) -> Result<Bytes, StatusCode> {
    let (held, before) = InFlight::start(requested);
    let together = (before / LIMIT + 1) * LIMIT;
    let mut seen = held.0.subscribe();
    let all = timeout(DEADLINE, seen.wait_for(|seen| seen.arrived >= together)).await;
    all.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?.map_err(|_| StatusCode::IM_A_TEAPOT)?;
    // Time for one more request to arrive, if the client sends one.
    for _ in 0..LIMIT {
        yield_now().await;
    }
    Ok(page(n))
}

async fn cut() -> Body {
    let start = Ok("the page that breaks off");
    Body::from_stream(stream::iter([start, Err(io::Error::other("the test cuts it"))]))
}

async fn silent(requested: Requested) {
    let _held = InFlight::start(requested);
    future::pending().await
}

/// Half a page, then nothing.
async fn half(requested: Requested) -> Body {
    let (held, _) = InFlight::start(requested);
    let rest = stream::once(async move {
        let _held = held;
        future::pending().await
    });
    let start = stream::iter([Ok::<_, io::Error>("the first half of a page")]);
    Body::from_stream(start.chain(rest))
}
