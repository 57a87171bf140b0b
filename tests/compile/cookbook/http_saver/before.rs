use std::sync::Arc;

use axum::{body::Bytes, extract::State, http::StatusCode};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

async fn write(_body: Bytes) -> std::io::Result<()> {
    Ok(())
}

// readme
#[derive(Clone)]
struct App {
    slots: Arc<Semaphore>,
    token: CancellationToken,
}

async fn save(State(app): State<App>, body: Bytes) -> StatusCode {
    // full: waits until the client gives up and tries again
    let _slot = app.slots.acquire().await.unwrap();
    tokio::spawn(async move {
        // the handler keeps the slot: saves are unbounded
        tokio::select! {
            // SIGTERM: bodies answered with 202 are dropped
            () = app.token.cancelled() => {}
            // full disk: a panic that is never reported
            saved = write(body) => saved.unwrap(),
        }
    });
    StatusCode::ACCEPTED
}

async fn run(
    listener: tokio::net::TcpListener,
    app: axum::Router,
    sigterm: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, app)
        .with_graceful_shutdown(sigterm)
        .await // exits in the middle of the saves
}
// end
