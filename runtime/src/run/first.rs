//! The first poll of a run, which for many is the last one.
//!
//! What only some runs need is done elsewhere, and costs the others a look at most.

use std::task::{Context, Poll};

use crate::{budget, clock::Ticks, function::limit::Limit};
use crate::{
    context::cancel_waker::CancelWaker,
    run::PollContext,
    run::body::Body,
    run::core::{Core, RunState},
    run::end::RunEnded,
    run::step::{Lent, Step, StepFlow},
};
use tokio_util::sync::CancellationToken;

/// The clock, where it need not be read again.
#[inline]
pub(super) fn first(
    core: &mut Core,
    token: &CancellationToken,
    lent: &mut Lent<'_, '_, dyn Body + '_>,
    poll_context: &PollContext<'_>,
) -> StepFlow<Option<Ticks>> {
    if token.is_cancelled()
        || poll_context
            .cancel_waker
            .is_some_and(|cancel_waker| core.scope_has_fired(token, cancel_waker))
    {
        return StepFlow::Break(core.refuse(lent.cx));
    }
    if budget::spend(lent.cx).is_pending() {
        return StepFlow::Break(Poll::Pending);
    }
    let spec = core.spec;
    if let Some(limit) = spec.limit() {
        if core.permit.is_none() {
            let Some(permit) = Limit::try_acquire(limit) else {
                let Lent { cx, body, .. } = lent;
                Step { core, token, body }.start_waiting(limit, cx, poll_context.cancel_waker)?;
                return StepFlow::Continue(None);
            };
            core.permit = Some(permit);
            spec.local_metrics().record_wait(0);
        }
    }
    StepFlow::Continue(poll_context.now)
}

impl Core {
    /// Whether the token of its scope has fired, where the run was given another one. A child has fired with it.
    #[inline]
    fn scope_has_fired(&mut self, token: &CancellationToken, cancel_waker: &CancelWaker) -> bool {
        self.set_spawned();
        !self.owns_token() && !cancel_waker.is_for(token) && cancel_waker.is_cancelled()
    }

    /// The token had fired before the first poll.
    #[cold]
    #[inline(never)]
    fn refuse(&mut self, cx: &mut Context<'_>) -> Poll<RunEnded> {
        self.state = RunState::Refused;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
