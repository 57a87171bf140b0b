//! A runner of a map: a tokio task that drives one run after another.
//!
//! Each runner has a child token of its own, lent to all its runs by handle: no other thread fights for
//! its lock. A runner that finds more items than runners starts one more.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;

use super::{
    keep::Keep,
    pull::{Bound, Driven, Pulled, Shared},
};
use crate::{
    Cancelled, Cause, TaskError, panic,
    run::{Ended, SupervisedFuture, frame, scope::Scope},
};

pin_project! {
    #[project = RunnerProjection]
    struct Runner<I, F, S, K>
    where
        I: Iterator,
        S: SupervisedFuture,
        K: Keep<S>,
    {
        shared: Arc<Shared<I, F, S, K>>,
        token: CancellationToken,
        scope: Option<Arc<Scope>>,
        index: usize,
        #[pin]
        run: Option<S>,
        left: bool,
    }

    impl<I, F, S, K> PinnedDrop for Runner<I, F, S, K>
    where
        I: Iterator,
        S: SupervisedFuture,
        K: Keep<S>,
    {
        fn drop(this: Pin<&mut Self>) {
            this.project().abort();
        }
    }
}

/// Starts the first runner, with the first run, which tells the function's own limit.
pub(super) fn start<I, F, S, K>(shared: &Arc<Shared<I, F, S, K>>, limit: Option<usize>)
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: Keep<S> + 'static,
{
    let token = shared.token.child_token();
    let Some(first) = shared.pull(&token, None) else {
        shared.leave();
        return;
    };
    let own = first.run.spec().limit().map(Bound::Own);
    let limit = limit.map(Bound::Fixed).or(own);
    let limit = limit.unwrap_or_else(|| Bound::Fixed(default_limit()));
    let grow = shared.set_limit(limit, first.more);
    spawn(shared.clone(), token, Some(first));
    if grow {
        spawn(shared.clone(), shared.token.child_token(), None);
    }
}

/// Four times as many as threads run at once: runs wait as a rule.
fn default_limit() -> usize {
    4 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn spawn<I, F, S, K>(
    shared: Arc<Shared<I, F, S, K>>,
    token: CancellationToken,
    first: Option<Pulled<S>>,
) where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: Keep<S> + 'static,
{
    let (index, run) = match first {
        Some(first) => (first.index, Some(first.run)),
        None => (0, None),
    };
    let scope = Some(shared.scope.clone());
    let runner = Runner { shared: shared.clone(), token, scope, index, run, left: false };
    #[expect(
        clippy::disallowed_methods,
        reason = "a runner of `map`, which aborts it when it is dropped"
    )]
    let spawned = tokio::spawn(runner);
    shared.keep(spawned.abort_handle());
}

impl<I, F, S, K> Future for Runner<I, F, S, K>
where
    I: Iterator + Send + 'static,
    F: FnMut(CancellationToken, I::Item) -> S + Send + 'static,
    S: SupervisedFuture + Send + 'static,
    S::Value: Send + 'static,
    S::Error: Send + 'static,
    K: Keep<S> + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            let done = match this.run.as_mut().as_pin_mut() {
                None => None,
                Some(run) => {
                    let task = run.spec().name();
                    let ended = ready!(frame::within(this.scope, || run.poll_ended(cx)));
                    this.run.set(None);
                    Some(Driven { task, index: *this.index, ended })
                }
            };
            let Some(pulled) = this.shared.pull(this.token, done) else {
                *this.left = true;
                this.shared.leave();
                return Poll::Ready(());
            };
            *this.index = pulled.index;
            this.run.set(Some(pulled.run));
            if pulled.grow {
                spawn(this.shared.clone(), this.shared.token.child_token(), None);
            }
        }
    }
}

impl<I: Iterator, F, S: SupervisedFuture, K: Keep<S>> RunnerProjection<'_, I, F, S, K> {
    /// The task is dropped before its end: the map, or the runtime, is going away.
    fn abort(&mut self) {
        if *self.left {
            return;
        }
        if let Some(run) = self.run.as_mut().as_pin_mut() {
            let task = run.spec().name();
            frame::within(self.scope, || self.run.set(None));
            let cause = self.shared.scope.cause().unwrap_or(Cause::ScopeDropped);
            let cancelled = TaskError::Cancelled(Cancelled::new(task, cause));
            match panic::catch(|| S::error(cancelled)) {
                Ok(error) => {
                    let ended = Ended::aborted(error);
                    self.shared.store(Driven { task, index: *self.index, ended });
                }
                Err(caught) => self.shared.store_untold(task, caught),
            }
        }
        self.shared.leave();
    }
}
