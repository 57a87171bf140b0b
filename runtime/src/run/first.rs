//! The first poll of a run, which for many is the last one.
//!
//! It works on the fields one by one: what only some runs need is done elsewhere, and costs the others nothing.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::task::coop::poll_proceed;

use super::{Run, Settled, Stage, frame, frame::Frame, output::Verdict};
use crate::{
    AsToken, Outcome,
    clock::Ticks,
    panic::{self, Caught},
    spec::TaskSpec,
};

impl<F: Future, T: AsToken> Run<F, T> {
    #[inline]
    pub(super) fn poll_first(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Settled<F::Output>> {
        let this = self.as_mut().project();
        let token = this.token.as_ref().expect("a run has its token until it has ended");
        if token.as_token().is_cancelled() {
            return self.project().refuse(cx);
        }
        // A loop over runs that are ready at once would never give its worker back without it. The unit is
        // spent before the body is polled: given back afterwards, it would refund what the body has spent.
        ready!(poll_proceed(cx)).made_progress();
        if this.spec.limit().is_some() && this.permit.is_none() {
            return self.project().poll_for_permit(cx);
        }
        let here = this.spec.here();
        here.started();
        *this.stage = Stage::Running;
        *this.since = Ticks::now();
        let polled =
            poll_body(this.spec, this.permit.is_some(), this.frame, this.body, *this.verdict, cx);
        match polled {
            Polled::Returned(value, verdict) => {
                let outcome = match verdict {
                    Verdict::Ok => Outcome::Ok,
                    Verdict::Error => Outcome::Error,
                    Verdict::CarriesCancelled => self.as_mut().project().whose_cancellation(),
                };
                let nanos = self.project().settle_here(outcome, here);
                Poll::Ready(Settled { outcome, nanos, result: Ok(value) })
            }
            Polled::Pending => self.project().poll_pending(cx),
            Polled::Panicked(caught, value) => {
                Poll::Ready(self.project().end_panicked(caught, value))
            }
        }
    }
}

/// What a poll of a body came to.
pub(super) enum Polled<R> {
    Pending,
    Returned(R, Verdict),
    /// Also where the body's drop panicked, after it had returned.
    Panicked(Caught, Option<R>),
}

#[inline]
pub(super) fn poll_body<F: Future>(
    spec: &'static TaskSpec,
    holds_permit: bool,
    frame: &mut Option<Arc<Frame>>,
    mut body: Pin<&mut Option<F>>,
    judge: fn(&F::Output) -> Verdict,
    cx: &mut Context<'_>,
) -> Polled<F::Output> {
    let mut returned = None;
    let caught = frame::run(spec, holds_permit, frame, || {
        panic::catch(|| {
            let running = body.as_mut().as_pin_mut().expect("a running body is there");
            let Poll::Ready(value) = running.poll(cx) else { return None };
            let verdict = judge(returned.insert(value));
            body.set(None);
            Some(verdict)
        })
    });
    match (caught, returned) {
        (Ok(Some(verdict)), Some(value)) => Polled::Returned(value, verdict),
        (Ok(_), _) => Polled::Pending,
        (Err(caught), value) => Polled::Panicked(caught, value),
    }
}
