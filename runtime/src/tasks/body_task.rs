//! The body of a main or of a test as a live task: the root of the tasks that it spawns.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{
    context::tree::{MainScope, OnThread, ScopeNode, TaskRecord},
    function::TaskSpec,
    registry,
    registry::HasTasks,
    registry::sharded_list::Registration,
    run::output::Judge,
    run::{PollContext, Run, RunResult},
    tasks::cell::TaskCell,
    telemetry::span::TaskSpan,
};

pub(crate) struct BodyTask {
    cell: TaskCell,
    _registration: Registration<dyn HasTasks>,
    /// Kept alive here: the registry has a weak reference.
    _body: Arc<Body>,
}

struct Body(Arc<TaskRecord>);

impl HasTasks for Body {
    fn records(&self, into: &mut Vec<Arc<TaskRecord>>) {
        into.push(self.0.clone());
    }
}

impl BodyTask {
    /// Registers the body of a test.
    pub(crate) fn new(spec: &'static TaskSpec, token: &CancellationToken) -> Self {
        Self::within(spec, ScopeNode::root(token.clone()))
    }

    /// Registers the body of a main.
    pub(crate) fn of_main(
        spec: &'static TaskSpec,
        main: &MainScope,
        token: &CancellationToken,
    ) -> Self {
        Self::within(spec, main.of_body(token.clone()))
    }

    fn within(spec: &'static TaskSpec, scope: Arc<ScopeNode>) -> Self {
        let record = Arc::new(TaskRecord::new(spec, spec.place(), scope, OnThread::Entry));
        let body = Arc::new(Body(record.clone()));
        let cell = TaskCell::new(record, TaskSpan::none());
        Self { cell, _registration: registry::register(Arc::downgrade(&body)), _body: body }
    }

    /// Runs the body on this thread, as a task.
    pub(crate) fn block_on<F: Future>(
        self,
        runtime: &Runtime,
        token: CancellationToken,
        verdict: Judge<F::Output>,
        body: impl FnOnce(CancellationToken) -> F,
    ) -> RunResult<F::Output> {
        let spec = self.cell.record().spec();
        let mut run = pin!(Run::new(spec, token.clone(), verdict, body(token)));
        self.drive(runtime, |cx| run.as_mut().poll_result(cx, PollContext::default()))
    }

    /// Polls on this thread, as a task, until the poll is ready.
    pub(crate) fn drive<T>(
        mut self,
        runtime: &Runtime,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> T {
        runtime.block_on(poll_fn(|cx| self.cell.enter(|| poll(cx))))
    }
}
