//! Refusals as HTTP answers.

use axum::{
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};

use crate::{
    error::Rejected,
    tasks::refused::{Closed, SpawnError, TrySpawnError},
};

/// The `Retry-After` of a response, in seconds.
const RETRY: &str = "1";

/// The client learns when to retry, and nothing about names and limits.
fn unavailable(text: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, RETRY)], text).into_response()
}

fn busy() -> Response {
    unavailable("The server is busy. Please try again soon.\n")
}

fn stopping() -> Response {
    unavailable("The server is stopping. Please try again soon.\n")
}

/// 503 with `Retry-After`: the function is at its limit.
impl IntoResponse for Rejected {
    fn into_response(self) -> Response {
        busy()
    }
}

/// 503 with `Retry-After`: the pool is closed.
impl IntoResponse for Closed {
    fn into_response(self) -> Response {
        stopping()
    }
}

/// 503 with `Retry-After`: the pool is full, or closed.
impl IntoResponse for TrySpawnError {
    fn into_response(self) -> Response {
        match self {
            Self::Full => busy(),
            Self::Closed => stopping(),
        }
    }
}

/// 503 with `Retry-After`: the pool or the group accepts no more tasks, or the call would have deadlocked itself.
impl IntoResponse for SpawnError {
    fn into_response(self) -> Response {
        match self {
            Self::Closed(closed) => closed.into_response(),
            Self::Joined | Self::Cancelled(_) => stopping(),
            Self::Rejected(rejected) => rejected.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cause::Cause,
        error::{Cancelled, Scarce},
    };

    #[test]
    fn a_refusal_has_retry_after_and_names_nothing() {
        let refusals = [
            Rejected::full("secret", 7).into_response(),
            Closed::NO_TASK.into_response(),
            TrySpawnError::Full.into_response(),
            TrySpawnError::Closed.into_response(),
            SpawnError::Rejected(Rejected::deadlock("secret", 7, ["secret"].into(), Scarce::Slot))
                .into_response(),
            SpawnError::Closed(Closed::NO_TASK).into_response(),
            SpawnError::Joined.into_response(),
            SpawnError::Cancelled(Cancelled::new("secret", Cause::Token)).into_response(),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for refusal in refusals {
            assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(refusal.headers()[RETRY_AFTER], "1");
            assert_eq!(refusal.headers()["content-type"], "text/plain; charset=utf-8");
            let body = runtime.block_on(axum::body::to_bytes(refusal.into_body(), 1000)).unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert!(body.starts_with("The server is "), "{body}");
        }
    }
}
