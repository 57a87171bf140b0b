//! tokio's `JoinHandle` is not modelled by loom. [`Join`] does what tokio documents: the task stores its output and wakes
//! the handle, or drops the output if the handle was dropped; a handle that is dropped after that drops the output. Each
//! is decided by one atomic state.

use std::{
    future::poll_fn,
    sync::{Arc, PoisonError},
    task::{Poll, Waker},
};

use loom::{future::block_on, thread};

use crate::pool::result::{Output, report};
use crate::{
    context::tree::TaskRecord,
    context::tree::loom::record as model_record,
    outcome::Outcome,
    sync::{Mutex, MutexGuard, atomic::AtomicUsize, atomic::Ordering, join, model},
};
use tokio_util::sync::CancellationToken;

/// The error of a task: the counter of its reports.
#[derive(Clone)]
struct Failed(Arc<AtomicUsize>);

/// Counts instead of logging.
fn count(_: &TaskRecord, _: Outcome, failed: &Failed, _: Option<Box<str>>) {
    failed.0.fetch_add(1, Ordering::Relaxed);
}

type TaskOutput = Output<(), Failed>;

/// A task of tokio and its `JoinHandle`.
#[derive(Default)]
struct Join(Mutex<JoinState>);

#[derive(Default)]
struct JoinState {
    output: Option<TaskOutput>,
    dropped: bool,
    waker: Option<Waker>,
}

impl Join {
    fn state(&self) -> MutexGuard<'_, JoinState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task has returned.
    fn complete(&self, output: TaskOutput) {
        let mut state = self.state();
        if state.dropped {
            drop(state);
            return drop(output);
        }
        state.output = Some(output);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// The handle is dropped.
    fn drop_handle(&self) {
        let mut state = self.state();
        state.dropped = true;
        let output = state.output.take();
        drop(state);
        drop(output);
    }

    /// The handle is awaited.
    async fn output(&self) -> TaskOutput {
        poll_fn(|cx| {
            let mut state = self.state();
            if let Some(output) = state.output.take() {
                return Poll::Ready(output);
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// The parts of a `PoolTask` and its task.
#[derive(Clone)]
struct Shared {
    record: Arc<TaskRecord>,
    join: Arc<Join>,
    failed: Failed,
}

impl Shared {
    fn new() -> Self {
        Self {
            record: model_record(&CancellationToken::new()),
            join: Arc::default(),
            failed: Failed(Arc::new(AtomicUsize::new(0))),
        }
    }

    /// The end of the task.
    fn fail(&self) {
        let failed = Err(self.failed.clone());
        let output = report(&self.record, Outcome::Error, failed, None, count);
        self.record.set_ended(Outcome::Error);
        self.join.complete(output);
    }

    /// As `PoolTask::drop`.
    fn drop_pool_task(&self) {
        self.record.control().set_unawaited();
        self.join.drop_handle();
    }

    fn reports(&self) -> usize {
        self.failed.0.load(Ordering::Relaxed)
    }
}

/// Invariant 1.
#[test]
fn a_failure_is_logged_once_if_the_pool_task_is_dropped() {
    model(None, || {
        let shared = Shared::new();
        let task = shared.clone();
        let ends = thread::spawn(move || task.fail());
        shared.drop_pool_task();
        join(ends);
        assert_eq!(shared.reports(), 1);
    });
}

/// Invariants 1 and 2: loom fails if the `PoolTask` is not woken.
#[test]
fn an_awaited_failure_is_returned_and_not_logged() {
    model(None, || {
        let shared = Shared::new();
        let task = shared.clone();
        let ends = thread::spawn(move || task.fail());
        let output = block_on(shared.join.output()).expect("it is awaited");
        assert!(output.take().is_err());
        shared.drop_pool_task();
        join(ends);
        assert_eq!(shared.reports(), 0);
    });
}

/// Invariant 1: a `PoolTask` that was polled, then dropped in a third place.
#[test]
fn a_pool_task_polled_and_dropped_elsewhere_reports_once() {
    model(Some(3), || {
        let shared = Shared::new();
        let task = shared.clone();
        let ends = thread::spawn(move || task.fail());
        let dropped = shared.clone();
        let drops = thread::spawn(move || {
            let polled = block_on(poll_fn(|cx| {
                let output = std::pin::pin!(dropped.join.output()).poll(cx);
                Poll::Ready(match output {
                    Poll::Ready(output) => output,
                    Poll::Pending => None,
                })
            }));
            let returned = polled.is_some_and(|output| output.take().is_err());
            dropped.drop_pool_task();
            usize::from(returned)
        });
        let returned = join(drops);
        join(ends);
        assert_eq!(shared.reports() + returned, 1);
    });
}
