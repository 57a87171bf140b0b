//! One run of a supervised function: permit, token, body, outcome.
//!
//! [`Run`] has the types of one function, and is compiled for each. It lends its body, and a place for the value, to the
//! state machine in `machine.rs`, which is compiled once and has the invariants of a run.
//!
//! Invariant: a spawned run whose body takes the token has its own child token before its first poll. Otherwise a body
//! that fires its token would cancel its siblings. `tests/spec/composition/tokens.rs` checks it.

pub(crate) mod boxed;
pub(crate) mod future;
pub(crate) mod output;
pub(crate) mod restart;
pub(crate) mod shield;
pub(crate) mod tuned;
pub(crate) mod within;

mod body;
mod core;
mod function;
mod machine;
mod watch;

use std::{
    future::Future,
    ops::ControlFlow,
    panic::catch_unwind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Ticks,
    context::lines::Mark,
    error::TaskError,
    function::{TaskSpec, limit::Permit},
    outcome::Outcome,
    run::{
        body::{InPlace, OnError, result},
        core::{Core, RunMode, RunState},
        machine::{Between, Lent, LentRun, OnePoll, RunEnded, Step},
        output::Judge,
    },
    token::{AsToken, ReplacedToken, replace_with_child},
    tuning::Tuning,
};

pub(crate) use machine::PollContext;

/// How a run finished: its outcome, and its value or the error of the boundary.
pub(crate) struct RunResult<R> {
    pub(crate) outcome: Outcome,
    pub(crate) result: Result<R, TaskError>,
}

pin_project! {
    /// The run, with its body inline.
    pub(crate) struct Run<F, T>
    where
        F: Future,
        T: AsToken,
    {
        // Set until the run has finished and `take_back_token` takes it.
        token: Option<T>,
        verdict: Judge<F::Output>,
        core: Core,
        #[pin]
        body: Option<F>,
    }

    impl<F, T> PinnedDrop for Run<F, T>
    where
        F: Future,
        T: AsToken,
    {
        fn drop(this: Pin<&mut Self>) {
            if this.core.state != RunState::Done {
                let this = this.project();
                let (mut value, mut error) = (Poll::Pending, None);
                let on_error = OnError::Keep(&mut error);
                let mut body = InPlace {
                    body: this.body,
                    verdict: *this.verdict,
                    value: &mut value,
                    on_error,
                };
                let token = token_of(this.token);
                Step { core: this.core, token, body: &mut body }.on_drop();
            }
        }
    }
}

/// The token of a run that has not finished.
fn token_of<T: AsToken>(token: &Option<T>) -> &CancellationToken {
    token.as_ref().expect("a run has its token until it has ended").as_token()
}

impl<F: Future, T: AsToken> Run<F, T> {
    pub(crate) fn new(
        spec: &'static TaskSpec,
        token: T,
        verdict: Judge<F::Output>,
        body: F,
    ) -> Self {
        // No call: nothing can panic while the body is moved.
        let core = Core {
            spec,
            state: RunState::New,
            mode: RunMode::Awaited,
            line: Mark::NONE,
            since: Ticks::NEVER,
            permit: None,
            cold: None,
        };
        Self { token: Some(token), verdict, core, body: Some(body) }
    }

    pub(crate) fn spec(&self) -> &'static TaskSpec {
        self.core.spec
    }

    /// Whether the body was polled.
    fn has_started(&self) -> bool {
        self.core.has_started()
    }

    /// Sets options of this call.
    pub(crate) fn tune(&mut self, tuning: Tuning) {
        self.core.tune(tuning);
    }

    /// Sets the options of a call of several runs.
    pub(super) fn set_tuning(&mut self, tuning: Arc<Tuning>) {
        self.core.set_tuning(tuning);
    }

    /// The options of this call.
    pub(crate) fn tuning(&self) -> Option<&Arc<Tuning>> {
        self.core.tuning()
    }

    /// Prepares a run that is about to be spawned: with its permit, if its scope acquired one, and the longest grace
    /// that its scope allows.
    pub(crate) fn prepare(&mut self, permit: Option<Permit>, longest_grace: Option<Duration>) {
        self.core.prepare(permit, longest_grace);
    }

    /// Replaces the token, before the first poll, if it is the first one given here.
    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken) {
        if let Some(token) = &mut self.token {
            token.renew(from, to);
        }
    }

    /// Gives a spawned run a child of its token before its first poll, if its body takes the token.
    #[inline]
    fn own_token(self: Pin<&mut Self>) -> Option<ReplacedToken<'_>> {
        if T::IS_OWNED && self.core.spec.takes_token() { self.make_own_token() } else { None }
    }

    // Not inlined, to keep the spawn of other runs small.
    #[inline(never)]
    fn make_own_token(self: Pin<&mut Self>) -> Option<ReplacedToken<'_>> {
        let this = self.project();
        if this.core.has_started() {
            return None;
        }
        this.core.mode = RunMode::OwnsToken;
        this.token.as_mut().and_then(replace_with_child)
    }

    /// Marks the token as the run's own: a call of several runs has made the child.
    pub(super) fn set_owns_token(&mut self) {
        self.core.mode = RunMode::OwnsToken;
    }

    /// Returns the token that was given to a run that has finished.
    pub(crate) fn take_back_token(self: Pin<&mut Self>) -> Option<CancellationToken> {
        self.project().token.take().and_then(AsToken::into_given)
    }

    /// Polls the run. `value`, empty before, holds what the body returned once the run has finished without an error.
    // Always inlined: without optimization this saves a frame, and a copy of the lent parts.
    #[inline(always)]
    fn poll_completion(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: &PollContext<'_>,
        value: &mut Poll<F::Output>,
        on_error: OnError<'_, F::Output>,
    ) -> Poll<RunEnded> {
        let OnePoll { mut run, mut lent } = self.lend(cx, poll_context, value, on_error);
        if let ControlFlow::Break(polled) = run.enter(&mut lent) {
            return polled;
        }
        let mut between = Between(&mut lent);
        let polled = catch_unwind(move || between.poll());
        run.exit(&mut lent, polled)
    }

    /// Lends all of the run for one poll.
    #[inline]
    fn lend<'a, 'c>(
        self: Pin<&'a mut Self>,
        cx: &'a mut Context<'c>,
        poll_context: &'a PollContext<'a>,
        value: &'a mut Poll<F::Output>,
        on_error: OnError<'a, F::Output>,
    ) -> OnePoll<'a, 'c, F> {
        let this = self.project();
        let (core, token) = (this.core, token_of(this.token));
        let body = InPlace { body: this.body, verdict: *this.verdict, value, on_error };
        OnePoll {
            run: LentRun { core, token, poll_context },
            lent: Lent { entered: None, cx, body },
        }
    }

    pub(crate) fn poll_result(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: PollContext<'_>,
    ) -> Poll<RunResult<F::Output>> {
        let (mut value, mut failed) = (Poll::Pending, None);
        let polled =
            self.poll_completion(cx, &poll_context, &mut value, OnError::Keep(&mut failed));
        let RunEnded { outcome, .. } = ready!(polled);
        Poll::Ready(RunResult { outcome, result: result(value, failed) })
    }
}
