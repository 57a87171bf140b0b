//! The first poll of a run, which for many is the last one.
//!
//! What only some runs need is done elsewhere, and costs the others a look at most.

use std::task::{Context, Poll, ready};

use tokio::task::coop::poll_proceed;

use super::{Around, alarm, core::Stage, end::End, step::Step};
use crate::{clock::Ticks, limit::Limit};

impl Step<'_> {
    #[inline]
    pub(super) fn poll_first(&mut self, cx: &mut Context<'_>, around: Around<'_>) -> Poll<End> {
        if alarm::has_fired(self.token, around.alarm) {
            return self.refuse(cx);
        }
        // A loop over runs that are ready at once would never give its worker back without it. The unit is
        // spent before the body is polled: given back afterwards, it would refund what the body has spent.
        ready!(poll_proceed(cx)).made_progress();
        let spec = self.core.spec;
        if let Some(limit) = spec.limit() {
            if self.core.permit.is_none() {
                self.core.permit = Limit::try_acquire(limit);
                if self.core.permit.is_none() {
                    return self.poll_full(limit, cx, around.alarm);
                }
                spec.here().waited_for(0);
            }
        }
        let here = spec.here();
        here.started();
        self.core.stage = Stage::Running;
        self.core.since = around.now.unwrap_or_else(Ticks::now);
        // It has none before its first poll.
        let mut frame = None;
        match self.poll_body(&mut frame, cx) {
            Ok(Some(verdict)) => Poll::Ready(self.end_returned(verdict, here)),
            Ok(None) => {
                self.core.keep_frame(frame);
                self.poll_pending(cx, around.alarm)
            }
            Err(caught) => Poll::Ready(self.end_panicked(caught)),
        }
    }

    /// The token had fired before the first poll.
    #[cold]
    fn refuse(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.core.stage = Stage::Refused;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
