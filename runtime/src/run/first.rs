//! The first poll of a run, which for many is the last one.
//!
//! What only some runs need is done elsewhere, and costs the others a look at most.

use std::task::{Context, Poll};

use super::{
    Around,
    alarm::Alarm,
    core::Stage,
    end::Ended,
    step::{Go, Step},
};
use crate::{budget, clock::Ticks, limit::Limit};

impl Step<'_> {
    /// The clock, where it need not be read again.
    #[inline]
    pub(super) fn first(
        &mut self,
        cx: &mut Context<'_>,
        around: &Around<'_>,
    ) -> Go<Option<Ticks>> {
        if self.token.is_cancelled()
            || around.alarm.is_some_and(|alarm| self.scope_has_fired(alarm))
        {
            return Go::Break(self.refuse(cx));
        }
        if budget::spend(cx).is_pending() {
            return Go::Break(Poll::Pending);
        }
        let spec = self.core.spec;
        if let Some(limit) = spec.limit() {
            if self.core.permit.is_none() {
                let Some(permit) = Limit::try_acquire(limit) else {
                    self.begin_to_wait(limit, cx, around.alarm)?;
                    return Go::Continue(None);
                };
                self.core.permit = Some(permit);
                spec.here().waited_for(0);
            }
        }
        Go::Continue(around.now)
    }

    /// Whether the token of its scope has fired, where the run was given another one. A child has fired with it.
    #[inline]
    fn scope_has_fired(&mut self, alarm: &Alarm) -> bool {
        self.core.spawned();
        !self.core.owns_token() && !alarm.is_for(self.token) && alarm.has_fired()
    }

    /// The token had fired before the first poll.
    #[cold]
    #[inline(never)]
    fn refuse(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        self.core.stage = Stage::Refused;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
