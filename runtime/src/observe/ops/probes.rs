//! The probes: liveness and readiness.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::{
    runtime::Handle,
    sync::watch::{self, Receiver},
    time::timeout,
};

use crate::{ready, registry::services::is_ready};

/// How long a runtime may delay an empty task. A probe that times out sooner (Kubernetes does after 1 s by default)
/// counts that as a failure too.
const PATIENCE: Duration = Duration::from_secs(2);

/// The checked runtime, if it is not the runtime that serves the probes.
#[derive(Clone)]
pub(crate) struct Watched(Option<Arc<Turns>>);

/// A runtime, and the task that checks whether it runs tasks. All probes share one such task: a blocked runtime drops
/// none, and one for each probe would pile up.
struct Turns {
    runtime: Handle,
    /// True when the last task has run; closed if it was dropped.
    last: Mutex<Option<Receiver<bool>>>,
}

impl Watched {
    pub(crate) fn new(runtime: Option<Handle>) -> Self {
        Self(runtime.map(|runtime| Arc::new(Turns { runtime, last: Mutex::new(None) })))
    }
}

impl Turns {
    /// Returns the pending check, or starts one.
    fn next(&self) -> Receiver<bool> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = &*last {
            // An error means that the runtime has ended, and drops a new task at once.
            if turn.has_changed().is_ok() && !*turn.borrow() {
                return turn.clone();
            }
        }
        let (ran, turn) = watch::channel(false);
        *last = Some(turn.clone());
        drop(last);
        #[expect(clippy::disallowed_methods, reason = "it asks whether a task is run at all")]
        self.runtime.spawn(async move { _ = ran.send(true) });
        turn
    }
}

pub(crate) async fn healthz(State(Watched(turns)): State<Watched>) -> Response {
    let Some(turns) = turns else {
        return (StatusCode::OK, "ok\n").into_response();
    };
    let mut turn = turns.next();
    match timeout(PATIENCE, turn.wait_for(|ran| *ran)).await {
        Ok(Ok(_)) => (StatusCode::OK, "ok\n").into_response(),
        Ok(Err(_)) => (StatusCode::SERVICE_UNAVAILABLE, "the runtime has ended\n").into_response(),
        Err(_) => {
            let text = format!("no worker thread of the runtime was free for {PATIENCE:?}\n");
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

pub(crate) async fn readyz() -> Response {
    if is_ready() {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        let why = if ready::accepts_work() { "a service is not ready\n" } else { "stopping\n" };
        (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
    }
}
