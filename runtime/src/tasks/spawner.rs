//! The kinds of thread that a task can run on.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use tokio::task::JoinHandle;

use crate::tasks::cell::{Report, Task};
use crate::{context::tree::OnThread, run::future::SupervisedFuture};

/// Spawns a task on one kind of thread. `R` receives its end.
pub(crate) trait Spawner<S, R>
where
    S: SupervisedFuture,
    R: Report<S::Value, S::Error>,
{
    const THREAD: OnThread;

    fn spawn(task: Task<S, R>) -> JoinHandle<R::Output>;
}

/// On the workers of the runtime: what `spawn` does.
pub(crate) struct OnWorkers;

impl<S, R> Spawner<S, R> for OnWorkers
where
    S: SupervisedFuture + Send + 'static,
    R: Report<S::Value, S::Error, Output: Send> + Send + 'static,
{
    const THREAD: OnThread = OnThread::Worker;

    fn spawn(task: Task<S, R>) -> JoinHandle<R::Output> {
        #[expect(clippy::disallowed_methods, reason = "groups and pools spawn only here")]
        tokio::spawn(task)
    }
}

/// On the thread that spawns: what `spawn_local` does.
pub(crate) struct OnThisThread;

impl<S, R> Spawner<S, R> for OnThisThread
where
    S: SupervisedFuture + 'static,
    R: Report<S::Value, S::Error> + 'static,
{
    const THREAD: OnThread = OnThread::Local;

    fn spawn(task: Task<S, R>) -> JoinHandle<R::Output> {
        #[expect(clippy::disallowed_methods, reason = "groups and pools spawn only here")]
        tokio::task::spawn_local(task)
    }
}

/// On a thread that may block: what `spawn_blocking` does.
pub(crate) struct OnBlockingThread;

impl<S, R> Spawner<S, R> for OnBlockingThread
where
    S: SupervisedFuture + Send + 'static,
    R: Report<S::Value, S::Error, Output: Send> + Send + 'static,
{
    const THREAD: OnThread = OnThread::Blocking;

    /// Polls the task to completion on that thread. Counters, panic handling and report are those of any other task.
    fn spawn(task: Task<S, R>) -> JoinHandle<R::Output> {
        tokio::task::spawn_blocking(move || {
            let mut task = pin!(task);
            let mut cx = Context::from_waker(Waker::noop());
            loop {
                // A closure never waits. The task is pending at most once, if its token had fired before.
                if let Poll::Ready(output) = task.as_mut().poll(&mut cx) {
                    break output;
                }
            }
        })
    }
}
