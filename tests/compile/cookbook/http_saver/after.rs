use std::time::Duration;

use axum::{
    body::Bytes,
    extract::State,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::post,
};
use tokio_supervised::{CancellationToken, Group, Pool, supervised, task};

async fn write(_body: Bytes) -> std::io::Result<()> {
    Ok(())
}

// readme
// runs to its end: only the end of the drain aborts it
#[supervised(on_cancel = "cooperate")]
async fn save(body: Bytes) -> std::io::Result<()> {
    write(body).await // an error is logged, once, and counted
}

async fn accept(State(pool): State<Pool>, body: Bytes) -> Response {
    // a slot, or 503 at once; the pool's token, not a request's
    match pool.try_spawn(|token| save(token, body)) {
        Ok(_) => StatusCode::ACCEPTED.into_response(),
        Err(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            [(RETRY_AFTER, "1")],
            why.to_string(),
        )
            .into_response(),
    }
}

async fn run(
    token: &CancellationToken,
    listener: tokio::net::TcpListener,
) -> anyhow::Result<()> {
    let pool = Pool::new(100);
    let app = axum::Router::new()
        .route("/save", post(accept))
        .with_state(pool.clone());
    let server = Group::new(token);
    let serve = task!("http", |token| {
        axum::serve(listener, app)
            .with_graceful_shutdown(token.cancelled_owned())
    });
    server.spawn(serve).await;
    let served = server.join().await; // its requests end first
    pool.drain(Duration::from_secs(14)).await?; // lists the rest
    Ok(served.map(drop)?)
}
// end
