use axum::{body::Bytes, extract::State, http::StatusCode};
use std::{io, sync::Arc};
use tokio::{select, sync::Semaphore};
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
struct App {
    slots: Arc<Semaphore>,
    token: CancellationToken,
}

async fn write(_body: Bytes) -> io::Result<()> {
    Ok(())
}

// readme
async fn save(State(app): State<App>, body: Bytes) -> StatusCode {
    // full: waits until the client gives up, and retries
    let _slot = app.slots.acquire().await.unwrap();
    let token = app.token.child_token();
    // the slot stays in here: nothing bounds the tasks
    tokio::spawn(async move {
        select! {
            // SIGTERM: what was answered with 202 is gone
            () = token.cancelled() => {}
            // disk full: a panic that nobody sees
            saved = write(body) => saved.unwrap(),
        }
    });
    StatusCode::ACCEPTED
}
// end

fn router(app: App) -> axum::Router {
    axum::Router::new().route("/save", axum::routing::post(save)).with_state(app)
}
