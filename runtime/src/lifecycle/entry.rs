//! The body of a main, or of a test, as a live task: the root of what it spawns.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    registry::{self, HasTasks, Listed},
    run::{
        frame,
        row::{OnThread, Row},
        scope::{MainScope, Scope},
    },
    spec::TaskSpec,
};

pub(super) struct Entry {
    row: Option<Arc<Row>>,
    _listed: Listed<dyn HasTasks>,
    /// What the list refers to.
    _body: Arc<Body>,
}

struct Body(Arc<Row>);

impl HasTasks for Body {
    fn rows(&self, into: &mut Vec<Arc<Row>>) {
        into.push(self.0.clone());
    }
}

impl Entry {
    /// Of a test.
    pub(super) fn new(spec: &'static TaskSpec, token: &CancellationToken) -> Self {
        Self::within(spec, Scope::root(token.clone()))
    }

    /// Of a main.
    pub(super) fn of_main(
        spec: &'static TaskSpec,
        main: &MainScope,
        token: &CancellationToken,
    ) -> Self {
        Self::within(spec, main.of_body(token.clone()))
    }

    fn within(spec: &'static TaskSpec, scope: Arc<Scope>) -> Self {
        let row = Arc::new(Row::new(spec, spec.place(), scope, OnThread::Entry));
        let body = Arc::new(Body(row.clone()));
        Self { row: Some(row), _listed: registry::list(&body), _body: body }
    }

    /// Polls the body as a task.
    pub(super) fn poll<R>(&mut self, code: impl FnOnce() -> R) -> R {
        self.row.iter().for_each(|row| _ = row.poll_begins());
        let polled = frame::within(&mut self.row, code);
        self.row.iter().for_each(|row| row.poll_ends());
        polled
    }
}
