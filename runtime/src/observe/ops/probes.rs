//! Is it alive, and does it want work.

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

use crate::ready::is_ready;

/// How long a runtime may keep a task waiting that has nothing to do. A probe that gives up sooner (Kubernetes
/// does after 1 s, unless it is told otherwise) counts that as a failure too.
const PATIENCE: Duration = Duration::from_secs(2);

/// The runtime that is looked at, where it is not the one that serves.
#[derive(Clone)]
pub(crate) struct Watched(Option<Arc<Turns>>);

/// A runtime, and the task that asks it for a turn. There is one such task at most, which all probes share: a runtime
/// that is blocked drops none, and one for each probe would pile up.
struct Turns {
    runtime: Handle,
    /// Becomes true when the last task was run; closed if it was dropped.
    last: Mutex<Option<Receiver<bool>>>,
}

impl Watched {
    pub(crate) fn new(runtime: Option<Handle>) -> Self {
        Self(runtime.map(|runtime| Arc::new(Turns { runtime, last: Mutex::new(None) })))
    }
}

impl Turns {
    /// The turn that is awaited, or else a new one.
    fn next(&self) -> Receiver<bool> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = &*last {
            // An error is a runtime that has ended, and drops a new task at once.
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
            let text = format!("no worker of the runtime was free for {PATIENCE:?}\n");
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

pub(crate) async fn readyz() -> Response {
    if is_ready() {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response()
    }
}
