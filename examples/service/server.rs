//! The server: accepts jobs into the queue, or refuses them.

use std::sync::Arc;

use anyhow::Context as _;
use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_supervised::{CancellationToken, is_ready, supervised};

use crate::{faults::Fault, numbers::Numbers};

/// The sender to the consumer, and the rest of the requests' shared state.
#[derive(Clone)]
pub(crate) struct Queue {
    pub(crate) jobs: mpsc::Sender<String>,
    pub(crate) numbers: Arc<Numbers>,
    /// `None`, unless it was requested.
    pub(crate) faults: Vec<Fault>,
}

/// When its token fires, it accepts no more connections, and answers the requests that it has.
#[supervised(name = "server", grace = "5s")]
pub(crate) async fn serve(
    token: &CancellationToken,
    listener: TcpListener,
    queue: Queue,
    fault: Fault,
) -> anyhow::Result<()> {
    let stop = token.clone().cancelled_owned();
    let server = axum::serve(listener, router(queue)).with_graceful_shutdown(stop);
    tokio::select! {
        served = server.into_future() => served.context("the server failed"),
        error = fault.strikes() => Err(error),
    }
}

fn router(queue: Queue) -> Router {
    Router::new()
        .route("/jobs", post(enqueue))
        .route("/healthz", get(StatusCode::OK))
        .route("/readyz", get(readiness))
        .route("/fail/{component}", post(fail))
        .with_state(queue)
}

async fn readiness() -> StatusCode {
    match is_ready() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The place in the queue is taken first: a job that is answered with 202 is in it.
async fn enqueue(State(queue): State<Queue>, job: String) -> Response {
    match queue.jobs.try_reserve() {
        Ok(place) => {
            queue.numbers.accepted();
            place.send(job);
            StatusCode::ACCEPTED.into_response()
        }
        Err(why) => {
            queue.numbers.refused();
            let text = format!("the queue takes nothing: {why}\n");
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], text).into_response()
        }
    }
}

async fn fail(State(queue): State<Queue>, Path(component): Path<String>) -> StatusCode {
    match queue.faults.iter().find(|fault| fault.component() == component) {
        Some(fault) => {
            fault.strike();
            StatusCode::ACCEPTED
        }
        None => StatusCode::NOT_FOUND,
    }
}
