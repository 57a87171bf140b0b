//! The kinds of thread that a task can run on.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use tokio::task::Id;

use crate::tasks::cell::{Report, Task};
use crate::{context::tree::OnThread, run::future::SupervisedFuture};

/// Spawns a task on one kind of thread.
pub(crate) trait Spawner<S: SupervisedFuture> {
    const THREAD: OnThread;

    fn spawn<R: Report<S::Value, S::Error> + Send + 'static>(task: Task<S, R>) -> Id;
}

/// On the workers of the runtime: what `spawn` does.
pub(crate) struct OnWorkers;

impl<S: SupervisedFuture + Send + 'static> Spawner<S> for OnWorkers {
    const THREAD: OnThread = OnThread::Worker;

    fn spawn<R: Report<S::Value, S::Error> + Send + 'static>(task: Task<S, R>) -> Id {
        #[expect(clippy::disallowed_methods, reason = "groups and pools spawn only here")]
        tokio::spawn(task).id()
    }
}

/// On the thread that spawns: what `spawn_local` does.
pub(crate) struct OnThisThread;

impl<S: SupervisedFuture + 'static> Spawner<S> for OnThisThread {
    const THREAD: OnThread = OnThread::Local;

    fn spawn<R: Report<S::Value, S::Error> + Send + 'static>(task: Task<S, R>) -> Id {
        #[expect(clippy::disallowed_methods, reason = "groups and pools spawn only here")]
        tokio::task::spawn_local(task).id()
    }
}

/// On a thread that may block: what `spawn_blocking` does.
pub(crate) struct OnBlockingThread;

impl<S: SupervisedFuture + Send + 'static> Spawner<S> for OnBlockingThread {
    const THREAD: OnThread = OnThread::Blocking;

    /// Polls the task to completion on that thread. Counters, panic handling and report are those of any other task.
    fn spawn<R: Report<S::Value, S::Error> + Send + 'static>(task: Task<S, R>) -> Id {
        let run = move || {
            let mut task = pin!(task);
            let mut cx = Context::from_waker(Waker::noop());
            // A closure never waits. The task is pending at most once, if its token had fired before.
            while task.as_mut().poll(&mut cx).is_pending() {}
        };
        tokio::task::spawn_blocking(run).id()
    }
}
