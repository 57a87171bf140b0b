//! One run of a supervised function: permit, token, body, outcome.
//!
//! What is here has the types of one function, and is compiled for each; it lends the body, and a place for its
//! value, to [`step`], which is compiled once.
//!
//! Invariants
//!
//! 1. Every poll looks at the token before the body. A token that had fired before the first poll never
//!    starts the body: the call wakes itself, returns `Pending` once, then ends `cancelled`.
//! 2. The body, its drop, and the drop of its output run under [`panic::catch`].
//! 3. Each run that was counted as started is counted as ended once, whichever way it ends; its permit is
//!    given back after that, and before whoever awaits it goes on.
//! 4. The token is watched only while the run is really pending, for a permit or in its body, and then
//!    always, until it has fired: by the run itself, or by the cancel waker of its scope.
//! 5. A spawned run that takes its token has a child of its own before its first poll: what its body fires is
//!    no other run's. A spawned run obeys the token of its scope besides its own.
//! 6. A run whose body is to be dropped, and in which a shield is pending, is overdue: it ends when the last
//!    shield does, or its body by itself.
//!
//! `tests/behaviour/` checks 1 in `cancel.rs`, 2 in `panics.rs`, 3 in `limit.rs`, 4 in `cancel.rs`, 6 in
//! `shield.rs`; `tests/composition/tokens.rs` checks 5.

pub(crate) mod future;
pub(crate) mod restart;

mod body;
mod core;
mod end;
mod first;
mod function;
pub(crate) mod output;
pub(crate) mod own;
mod pending;
pub(crate) mod shield;
mod step;
mod wait;

use std::{
    cell::Cell,
    future::Future,
    ops::ControlFlow,
    panic::catch_unwind,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;

use crate::context::cancel_waker::CancelWaker;
use crate::run::body::{Failure, InPlace, OnError};
use crate::run::core::{Core, RunMode, RunState};
use crate::run::end::RunEnded;
use crate::run::output::{Judge, put_text};
use crate::run::step::{Between, Lent, LentRun, OnePoll};
use crate::{
    clock::Ticks, error::TaskError, function::TaskSpec, function::limit::Permit, outcome::Outcome,
    token::AsToken,
};

/// What the task that polls a run knows already.
#[derive(Clone, Copy, Default)]
pub struct PollContext<'a> {
    /// Wakes the task when its token fires: a run with the same token need not watch it.
    pub(crate) cancel_waker: Option<&'a CancelWaker>,
    /// The clock, where it was read just now.
    pub(crate) now: Option<Ticks>,
    /// Where the text of an error goes, if it may be logged.
    pub(crate) text: Option<&'a Cell<Option<Box<str>>>>,
}

impl PollContext<'_> {
    /// Of a call that is awaited where it was made: nothing. Lent from here, it is not written for each poll.
    pub(crate) const EMPTY: Self = Self { cancel_waker: None, now: None, text: None };

    /// Whether the run is that of a spawned task, or of an item; else it is awaited where it was made.
    pub(super) fn is_spawned(&self) -> bool {
        self.cancel_waker.is_some()
    }
}

/// How a run ended, and what it gave: its value, or what the boundary has to say.
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
        // There until it is taken back, when the run has ended.
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
                step::on_drop(this.core, token_of(this.token), &mut body);
            }
        }
    }
}

/// The token of a run that has not ended.
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
        // Written down, not called: nothing can panic while the body is moved.
        let core = Core {
            spec,
            state: RunState::New,
            mode: RunMode::Awaited,
            since: Ticks::NEVER,
            permit: None,
            cold: None,
        };
        Self { token: Some(token), verdict, core, body: Some(body) }
    }

    pub(crate) fn spec(&self) -> &'static TaskSpec {
        self.core.spec
    }

    /// Whether the body has been polled.
    fn has_started(&self) -> bool {
        self.core.has_started()
    }

    /// Hands over a permit that was acquired for this run, and what its scope allows as grace: it is about
    /// to be spawned.
    pub(crate) fn prepare(&mut self, permit: Option<Permit>, longest_grace: Option<Duration>) {
        self.core.prepare(permit, longest_grace);
    }

    /// Before the first poll: if it was given the first token, it has the second one from now on.
    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken) {
        if let Some(token) = &mut self.token {
            token.renew(from, to);
        }
    }

    /// Gives a spawned run a child of its token, if its body takes the token.
    #[inline]
    fn own_token(self: Pin<&mut Self>, poll_context: &PollContext<'_>) {
        if T::IS_OWNED && self.core.spec.takes_token() && poll_context.is_spawned() {
            self.make_own_token();
        }
    }

    // Elsewhere, so that what drives the others stays small.
    #[inline(never)]
    fn make_own_token(self: Pin<&mut Self>) {
        let this = self.project();
        if !this.core.owns_token() && !this.core.has_started() {
            own::replace(this.token);
            this.core.mode = RunMode::OwnsToken;
        }
    }

    /// The token of the run is its own already: that of a call of several runs.
    pub(super) fn set_owns_token(&mut self) {
        self.core.mode = RunMode::OwnsToken;
    }

    /// See [`put_text_of`].
    #[inline]
    fn put_text(
        &self,
        poll_context: &PollContext<'_>,
        outcome: Outcome,
        value: &Poll<F::Output>,
        failed: &Failure,
    ) {
        put_text_of(poll_context, outcome, value, failed, self.verdict);
    }

    /// The token that was given to a run that has ended.
    pub(crate) fn take_back_token(self: Pin<&mut Self>) -> Option<CancellationToken> {
        self.project().token.take().and_then(AsToken::into_given)
    }

    /// What the body returns is put into its place, which is empty before; it is there where the run has ended
    /// without an error.
    // By force: without optimization there is a frame less, and with it no copy of what is lent.
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

/// Whether the error of such an end may be logged: a panic was logged when it was caught, and a cancellation is no
/// failure.
fn is_failure(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Error | Outcome::TimedOut | Outcome::Rejected)
}

/// Puts what the error of a run that has ended says into its place, if it failed and someone asks.
#[inline]
fn put_text_of<R>(
    poll_context: &PollContext<'_>,
    outcome: Outcome,
    value: &Poll<R>,
    failed: &Failure,
    judge: Judge<R>,
) {
    let Some(place) = poll_context.text.filter(|_| is_failure(outcome)) else { return };
    let result = match (failed, value) {
        (Some(failed), _) => Err(&failed.error),
        (None, Poll::Ready(value)) => Ok(value),
        (None, Poll::Pending) => return,
    };
    put_text(place, result, judge);
}

/// Whether the run had not ended within its grace.
fn is_overdue(failed: &Failure) -> bool {
    failed.as_ref().is_some_and(|failed| failed.overdue)
}

/// What a run that has ended gives.
#[inline]
fn result<R>(value: Poll<R>, failed: Failure) -> Result<R, TaskError> {
    match failed {
        Some(failed) => Err(failed.error),
        None => match value {
            Poll::Ready(value) => Ok(value),
            Poll::Pending => unreachable!("a run without an error has returned"),
        },
    }
}
