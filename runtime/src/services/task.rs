//! The task of one service, as `run` stops it, and how it ended.
//!
//! Each service has its own scope and root token: it is cancelled alone, for its own cause.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::services::error::BoxError;
use crate::{
    cause::Cause,
    context::cancel_waker::CancelWaker,
    context::tree::{ScopeNode, TaskRecord},
    outcome::Outcome,
    panic::drop_quietly,
    registry::unfinished::UnfinishedTask,
    telemetry::events,
};

/// A service that has not ended.
pub(crate) struct ServiceTask {
    record: Arc<TaskRecord>,
    token: CancellationToken,
    scope: Arc<ScopeNode>,
    cancel_waker: CancelWaker,
}

impl ServiceTask {
    pub(crate) fn new(
        record: Arc<TaskRecord>,
        token: CancellationToken,
        scope: Arc<ScopeNode>,
        cancel_waker: CancelWaker,
    ) -> Self {
        Self { record, token, scope, cancel_waker }
    }

    pub(crate) fn record(&self) -> &Arc<TaskRecord> {
        &self.record
    }

    /// Fires its token. Calls wakers, which are foreign code.
    pub(crate) fn cancel(&self, cause: Cause) {
        self.scope.fire(&self.token, cause, || self.cancel_waker.fire());
    }

    pub(crate) fn abort(&self) {
        self.record.abort();
    }

    pub(crate) fn cancel_waker(&self) -> &CancelWaker {
        &self.cancel_waker
    }

    /// Why it was cancelled.
    pub(crate) fn cause(&self) -> Cause {
        self.scope.cause().unwrap_or(Cause::Token)
    }

    /// Why its task was dropped before its run had ended.
    pub(crate) fn cause_of_abort(&self) -> Cause {
        if self.token.is_cancelled() { self.cause() } else { Cause::RuntimeGone }
    }
}

/// How a service ended.
pub(crate) enum End {
    Ok,
    /// Its token had fired.
    Cancelled(BoxError),
    /// It did not stop within the grace of its function, and was dropped.
    Overdue(UnfinishedTask),
    Failed(ServiceFailure),
    /// The task was dropped before its run had ended: it was aborted, or its runtime is gone.
    Aborted(BoxError),
}

/// The error of a service that failed.
pub(crate) struct ServiceFailure {
    pub(crate) error: BoxError,
    pub(crate) outcome: Outcome,
    /// The text of the error, if it is known.
    pub(crate) text: Option<Box<str>>,
}

impl ServiceFailure {
    /// The text for the status of the service.
    pub(crate) fn last_text(&self) -> Option<Box<str>> {
        match self.outcome {
            // The run has no text of an error that `err_into` could not convert.
            Outcome::Panicked if self.text.is_none() => Some(self.error.to_string().into()),
            _ => self.text.clone(),
        }
    }

    /// Logs a failure that `run` does not return, and drops its error.
    #[cold]
    pub(crate) fn log(self, service: &str, why: &str) {
        // The boundary that caught a panic has logged it.
        if self.outcome != Outcome::Panicked {
            events::service_failed(service, self.outcome, self.text.as_deref(), why);
        }
        drop_quietly(self.error);
    }
}
