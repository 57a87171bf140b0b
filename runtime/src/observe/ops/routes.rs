//! The routes of the ops page, and their responses.

use std::{convert::Infallible, sync::Arc, thread, time::Duration};

use axum::{
    Router,
    extract::Path,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            ACCEPT, CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, VARY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware::map_response,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::get,
};
use futures_util::{StreamExt, stream};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};

use crate::{observe::exporters::prometheus, registry::services::is_ready};
use crate::{
    observe::ops::accept::Form,
    observe::ops::document,
    observe::ops::feed::{Listener, Snapshot},
    observe::ops::page::page,
    observe::ops::probes::{Watched, healthz, readyz},
};

/// The length of a stream. Then it ends, and the page reconnects: a graceful shutdown, and the place of a viewer that
/// does not read, take no longer.
const STREAM: Duration = Duration::from_secs(10);

/// The timeout of a request for one snapshot.
const SNAPSHOT: Duration = Duration::from_secs(30);

/// How many lookups of symbols may run at once, each on a separate thread.
const LOOKUPS: usize = 4;

/// How soon the page reconnects.
const RETRY: Duration = Duration::from_millis(250);

/// `/metrics`, `/healthz`, `/readyz` and `/debug/tasks`, for your own server.
///
/// Read [who may see it](super#who-may-see-it) first, and prefer [`listen`](crate::observe::ops::listen): it answers when this
/// cannot. The router may be nested at any path.
///
/// The page is fed by a stream. A graceful shutdown of the server waits for it: a stream that is open ends with
/// the next snapshot once [`is_ready`](crate::is_ready) is false, and after 10 s anyway. The page reconnects
/// by itself. After 10 s the place of a viewer is free, whether it reads or not.
///
/// A router cannot bound connections, the bytes of their headers, or the time in which a client sends and reads: that is
/// for your server to do. `axum::serve` does none of it, [`listen`](crate::observe::ops::listen) does.
///
/// ```no_run
/// # use axum::Router;
/// # use tokio_supervised::{CancellationToken, ops, supervised};
/// #[supervised::main]
/// async fn main(token: CancellationToken) -> anyhow::Result<()> {
///     let app = Router::new().nest("/internal", ops::router()); // behind your own authentication
///     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
///     axum::serve(listener, app).with_graceful_shutdown(token.cancelled_owned()).await?;
///     Ok(())
/// }
/// ```
pub fn router() -> Router {
    router_watching(None)
}

/// Like [`router`], but checks a runtime that does not serve the page.
pub(crate) fn router_watching(runtime: Option<Handle>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/debug/tasks", get(tasks))
        .route("/debug/tasks/", get(tasks))
        .route("/debug/tasks/events", get(events))
        .route("/debug/tasks/backtraces/{panic}", get(backtrace))
        .layer(map_response(private))
        .with_state(Watched::new(runtime))
}

/// Sets the headers that prevent a response from being cached or read as another type.
async fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

async fn metrics() -> Response {
    ([(CONTENT_TYPE, prometheus::CONTENT_TYPE)], prometheus::text()).into_response()
}

async fn tasks(headers: HeaderMap) -> Response {
    let form = Form::from_accept(&headers);
    let mut response = match form {
        Form::Page => page(),
        Form::Json | Form::Text => match snapshot().await {
            Some(snapshot) if form == Form::Json => {
                ([(CONTENT_TYPE, "application/json")], snapshot.json.clone()).into_response()
            }
            Some(snapshot) => snapshot.document.to_string().into_response(),
            None => busy(),
        },
    };
    response.headers_mut().insert(VARY, HeaderValue::from(ACCEPT));
    response
}

async fn snapshot() -> Option<Arc<Snapshot>> {
    let mut listener = Listener::new().ok()??;
    timeout(SNAPSHOT, listener.next()).await.ok()?
}

async fn events() -> Response {
    let Ok(Some(listener)) = Listener::new() else { return busy() };
    let (send, mut receive) = mpsc::channel(1);
    #[expect(clippy::disallowed_methods, reason = "its time is bounded, and nothing waits for it")]
    tokio::spawn(timeout(STREAM, forward(listener, send)));
    let snapshots = stream::poll_fn(move |context| receive.poll_recv(context));
    let events = snapshots.map(|snapshot: Arc<Snapshot>| {
        Ok::<_, Infallible>(Event::default().retry(RETRY).data(&snapshot.json))
    });
    Sse::new(events).into_response()
}

/// Holds the place of a viewer beside its connection: a server polls a response only while its client reads.
async fn forward(mut listener: Listener, viewer: mpsc::Sender<Arc<Snapshot>>) {
    let snapshots = async {
        while let Some(snapshot) = listener.next().await {
            // One is enough then: the page asks again, and a server that stops does not wait.
            let is_last = !is_ready();
            if viewer.send(snapshot).await.is_err() || is_last {
                break;
            }
        }
    };
    tokio::select! {
        () = snapshots => {}
        () = viewer.closed() => {}
    }
}

/// Looking up symbols is slow, so it is not done on a worker.
async fn backtrace(Path(panic): Path<String>) -> Response {
    static PLACES: Semaphore = Semaphore::const_new(LOOKUPS);
    let Ok(place) = PLACES.acquire().await else { return busy() };
    // The thread holds the place: disconnecting does not release it.
    let look_up = move || {
        let _place = place;
        document::backtrace(&panic)
    };
    match spawn_thread(look_up).await {
        Some(Some(backtrace)) => backtrace.into_response(),
        Some(None) => {
            (StatusCode::NOT_FOUND, "newer panics have taken its place\n").into_response()
        }
        None => busy(),
    }
}

/// `None` if the system has no thread: `spawn_blocking` would panic.
async fn spawn_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (send, receive) = oneshot::channel();
    let thread = thread::Builder::new().name("supervised-symbols".to_owned());
    thread.spawn(move || _ = send.send(work())).ok()?;
    receive.await.ok()
}

fn busy() -> Response {
    let text = "too many open streams: try again later\n";
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], text).into_response()
}
