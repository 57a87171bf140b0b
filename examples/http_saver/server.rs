//! The requests: accepted and refused ones.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Request, State, rejection::BytesRejection},
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::time::sleep;
use tokio_supervised::{CancellationToken, Outcome, Pool, TaskError, TrySpawnError, supervised};

use crate::store::{Accepted, Store};

/// The longest body; with the limit of [`receive`] it bounds what requests hold in memory.
const LONGEST_BODY: usize = 1 << 20;

/// The delay before a retry, in seconds, for the `Retry-After` header.
const RETRY_SECONDS: &str = "1";

/// State shared by all requests.
#[derive(Clone)]
pub(crate) struct Saver {
    pub(crate) pool: Pool,
    pub(crate) store: Arc<Store>,
    pub(crate) delay: Duration,
    /// Fires when the process receives a signal.
    pub(crate) stopping: CancellationToken,
    /// Fires when the server stops.
    pub(crate) closing: CancellationToken,
}

pub(crate) fn router(saver: Saver) -> Router {
    Router::new()
        .route("/save", post(accept).layer(DefaultBodyLimit::max(LONGEST_BODY)))
        .route("/healthz", get(StatusCode::OK))
        .route("/readyz", get(readiness))
        .with_state(saver)
}

async fn readiness(State(saver): State<Saver>) -> StatusCode {
    match saver.stopping.is_cancelled() {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::OK,
    }
}

/// The body is read first, so no slot waits for a slow client. The answer comes last, so every 202 has a slot.
///
/// With `Prefer: wait` the answer waits for the save: 201, or 500 if it has failed. A client that leaves drops only that
/// wait. The save goes on, and the pool logs its failure.
async fn accept(
    State(saver): State<Saver>,
    request: Request,
) -> Result<(StatusCode, String), Refusal> {
    let waits = request.headers().get("prefer").is_some_and(|prefer| prefer == "wait");
    let body = receive(&saver.closing, request).await?;
    let Saver { pool, store, delay, .. } = saver;
    let name = store.next_name();
    let accepted = name.clone();
    // The closure runs only if there is a slot: a body that is not accepted cannot be lost.
    let saved =
        pool.try_spawn(move |token| save(token, Accepted::new(store, accepted, body), delay))?;
    if waits {
        saved.await?;
        return Ok((StatusCode::CREATED, name + "\n"));
    }
    Ok((StatusCode::ACCEPTED, name + "\n"))
}

/// Reads a body, of at most 256 clients at once. They may be slow, but not forever.
#[supervised(
    limit = 256,
    on_full = "reject",
    timeout = "10s",
    on_cancel = "cooperate",
    grace = "2s"
)]
async fn receive(request: Request) -> Result<Bytes, Refusal> {
    Ok(Bytes::from_request(request, &()).await?)
}

/// Saves an accepted body. When cancelled it shortens its work; it is never dropped before the pool's grace has passed.
#[supervised]
async fn save(token: &CancellationToken, accepted: Accepted, delay: Duration) -> io::Result<()> {
    token.run_until_cancelled(sleep(delay)).await;
    accepted.save().await
}

/// Why a body was not accepted.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// Errors of `receive`'s boundary: too many at once, too slow, too late.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Too long, or cut off.
    #[error(transparent)]
    Body(#[from] BytesRejection),
    /// The pool is full, or closed.
    #[error(transparent)]
    Pool(#[from] TrySpawnError),
    /// Accepted, and the client has waited for the failure.
    #[error("not saved")]
    Save(#[from] io::Error),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let text = format!("{self}\n");
        let outcome = match self {
            Self::Task(error) => error.outcome(),
            Self::Body(rejection) => return rejection.into_response(),
            Self::Pool(_) => Outcome::Rejected,
            Self::Save(_) => Outcome::Error,
        };
        match outcome {
            Outcome::Rejected | Outcome::Cancelled => {
                (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, RETRY_SECONDS)], text)
                    .into_response()
            }
            Outcome::TimedOut => (StatusCode::REQUEST_TIMEOUT, text).into_response(),
            _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}
