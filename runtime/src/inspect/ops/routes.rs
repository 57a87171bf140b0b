//! What is asked, and what is answered.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

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
use futures_util::stream;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use super::{
    accept::Form,
    document,
    feed::{Listener, Snapshot},
    page::page,
    probes::{Watched, healthz, readyz},
};
use crate::{inspect::prometheus, ready::is_ready};

/// After which a stream ends, and the page asks for another: a graceful shutdown waits for no longer.
const STREAM: Duration = Duration::from_secs(10);

/// After which the page does so.
const RETRY: Duration = Duration::from_millis(250);

/// `/metrics`, `/healthz`, `/readyz` and `/debug/tasks`, for a server of your own.
///
/// Read [who may see it](super#who-may-see-it) first, and prefer [`listen`](super::listen): it answers when this
/// cannot. The router may be nested at any path.
///
/// The page is fed by a stream. A graceful shutdown of the server waits for it: a stream that is open ends with
/// the next snapshot once [`is_ready`](crate::is_ready) is false, and after 10 s anyway. The page reconnects
/// by itself.
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
    watching(None)
}

/// The same, for a runtime other than the one that serves.
pub(super) fn watching(runtime: Option<Handle>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/debug/tasks", get(tasks))
        .route("/debug/tasks/", get(tasks))
        .route("/debug/tasks/events", get(events))
        .route("/debug/tasks/backtraces/{panic}", get(backtrace))
        .layer(map_response(private))
        .with_state(Watched(runtime))
}

/// Nobody keeps it, and nobody takes it for something else.
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
    let form = Form::wanted(&headers);
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
    Listener::new().ok()??.next().await
}

async fn events() -> Response {
    let Ok(Some(listener)) = Listener::new() else { return busy() };
    let until = Instant::now() + STREAM;
    let snapshots = stream::unfold(Some(listener), move |listener| async move {
        let mut listener = listener?;
        let next = timeout_at(until, pin!(listener.next())).await;
        let snapshot = next.ok()??;
        let event = Event::default().retry(RETRY).data(&snapshot.json);
        // One is enough then: the page asks again, and a server that stops does not wait.
        let listener = is_ready().then_some(listener);
        Some((Ok::<_, Infallible>(event), listener))
    });
    Sse::new(snapshots).into_response()
}

/// Looking up symbols takes its time: it is not done on a worker.
async fn backtrace(Path(panic): Path<String>) -> Response {
    let found = tokio::task::spawn_blocking(move || document::backtrace(&panic)).await;
    match found {
        Ok(Some(backtrace)) => backtrace.into_response(),
        _ => (StatusCode::NOT_FOUND, "newer panics have taken its place\n").into_response(),
    }
}

fn busy() -> Response {
    let text = "too many look already: try again soon\n";
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], text).into_response()
}
