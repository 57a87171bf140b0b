//! Is it alive, and does it want work.

use std::time::Duration;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::{runtime::Handle, time::timeout};

use crate::ready::is_ready;

/// How long a runtime may keep a task waiting that has nothing to do. A probe that gives up sooner (Kubernetes
/// does after 1 s, unless it is told otherwise) counts that as a failure too.
const PATIENCE: Duration = Duration::from_secs(2);

/// The runtime that is looked at, where it is not the one that serves.
#[derive(Clone)]
pub(super) struct Watched(pub(super) Option<Handle>);

pub(super) async fn healthz(State(Watched(runtime)): State<Watched>) -> Response {
    let Some(runtime) = runtime else {
        return (StatusCode::OK, "ok\n").into_response();
    };
    #[expect(clippy::disallowed_methods, reason = "it asks whether a task is run at all")]
    let mut turn = runtime.spawn(async {});
    let answered = timeout(PATIENCE, &mut turn).await;
    match answered {
        Ok(Ok(())) => (StatusCode::OK, "ok\n").into_response(),
        Ok(Err(_)) => (StatusCode::SERVICE_UNAVAILABLE, "the runtime has ended\n").into_response(),
        Err(_) => {
            // Probes that nobody answers must not pile up.
            turn.abort();
            let text = format!("no worker of the runtime was free for {PATIENCE:?}\n");
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

pub(super) async fn readyz() -> Response {
    if is_ready() {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response()
    }
}
