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

use super::{Around, Run, Settled, Stage, alarm, frame, frame::Frame, output::Verdict};
use crate::{
    AsToken, Outcome,
    clock::Ticks,
    panic::{self, Caught},
    spec::TaskSpec,
};

impl<F: Future, T: AsToken> Run<F, T> {
    /// `told` is called where the run has ended: a value that is handed on at once is moved once.
    #[inline]
    pub(super) fn poll_first<R>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        around: Around<'_>,
        told: impl FnOnce(Settled<F::Output>) -> R,
    ) -> Poll<R> {
        let this = self.as_mut().project();
        let token = this.token.as_ref().expect("a run has its token until it has ended");
        if alarm::has_fired(token.as_token(), around.alarm) {
            return self.project().refuse(cx);
        }
        // A loop over runs that are ready at once would never give its worker back without it. The unit is
        // spent before the body is polled: given back afterwards, it would refund what the body has spent.
        ready!(poll_proceed(cx)).made_progress();
        if this.spec.limit().is_some() && this.permit.is_none() {
            return self.project().poll_for_permit(cx, around.alarm).map(told);
        }
        let here = this.spec.here();
        here.started();
        *this.stage = Stage::Running;
        *this.since = around.now.unwrap_or_else(Ticks::now);
        // It has none before its first poll.
        let mut frame = None;
        let mut value = None;
        let holds_permit = this.permit.is_some();
        let polled = poll_body(
            this.spec,
            holds_permit,
            &mut frame,
            this.body,
            *this.verdict,
            &mut value,
            cx,
        );
        match (polled, value) {
            (Ok(Some(verdict)), Some(value)) => {
                let outcome = match verdict {
                    Verdict::Ok => Outcome::Ok,
                    Verdict::Error => Outcome::Error,
                    Verdict::CarriesCancelled => self.as_mut().project().whose_cancellation(),
                };
                let nanos = self.project().settle_here(outcome, here);
                Poll::Ready(told(Settled { outcome, overdue: false, nanos, result: Ok(value) }))
            }
            (Ok(_), _) => {
                let mut this = self.project();
                this.keep_frame(frame);
                this.poll_pending(cx, around.alarm).map(told)
            }
            (Err(caught), value) => Poll::Ready(told(self.project().end_panicked(caught, value))),
        }
    }
}

/// Polls a body, and drops it when it has returned. `value` is what it returned, also where its drop has
/// panicked since; its verdict is there where the run has ended.
#[inline]
pub(super) fn poll_body<F: Future>(
    spec: &'static TaskSpec,
    holds_permit: bool,
    frame: &mut Option<Arc<Frame>>,
    mut body: Pin<&mut Option<F>>,
    judge: fn(&F::Output) -> Verdict,
    value: &mut Option<F::Output>,
    cx: &mut Context<'_>,
) -> Result<Option<Verdict>, Caught> {
    frame::run(spec, holds_permit, frame, || {
        panic::catch(|| {
            let running = body.as_mut().as_pin_mut().expect("a running body is there");
            let Poll::Ready(returned) = running.poll(cx) else { return None };
            let verdict = judge(value.insert(returned));
            body.set(None);
            Some(verdict)
        })
    })
}
