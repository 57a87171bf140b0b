use axum::{
    body::Bytes, extract::State, http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use std::{io, time::Duration};
use tokio_supervised::{Pool, supervised};

async fn write(_body: Bytes) -> io::Result<()> {
    Ok(())
}

async fn serve(_pool: Pool) -> io::Result<()> {
    Ok(())
}

// readme
// not dropped at an `.await`: it ends by itself, or is named
#[supervised(on_cancel = "cooperate")]
async fn store(body: Bytes) -> io::Result<()> {
    write(body).await
}

async fn save(State(pool): State<Pool>, body: Bytes) -> Response {
    // no slot, no task, no 202; the request's end stops nothing
    match pool.try_spawn(|token| store(token, body)) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(_) => {
            let again = [(RETRY_AFTER, "1")];
            let full = StatusCode::SERVICE_UNAVAILABLE;
            (full, again).into_response()
        }
    }
}

async fn run(pool: Pool) -> anyhow::Result<()> {
    serve(pool.clone()).await?; // until SIGTERM
    // what was accepted is stored, or named as the error
    Ok(pool.drain(Duration::from_secs(14)).await?)
}
// end

fn router(pool: Pool) -> axum::Router {
    axum::Router::new().route("/save", axum::routing::post(save)).with_state(pool)
}
