//! A run of a function that is at its limit: it is refused, or waits for its permit.

use std::task::{Context, Poll};

use crate::{
    clock::Ticks,
    error::{Rejected, TaskError},
    function::limit::Limit,
};
use crate::{
    context,
    context::cancel_waker::CancelWaker,
    context::deadlock,
    run::core::{RunState, Wait, WaitProjected},
    run::step::{Step, StepFlow},
};

impl Step<'_> {
    #[cold]
    #[inline(never)]
    pub(super) fn start_waiting(
        &mut self,
        limit: &'static Limit,
        cx: &mut Context<'_>,
        cancel_waker: Option<&CancelWaker>,
    ) -> StepFlow {
        if self.core.spec.rejects_when_full() {
            let rejected = Rejected::full(self.core.spec, limit.size());
            return self.reject(rejected);
        }
        if let Some(rejected) = deadlock::check_permit(self.core.spec) {
            return self.reject(rejected);
        }
        let acquire = Box::pin(Limit::acquire(limit));
        *self.core.cold_mut().wait = Some(Box::pin(Wait::Permit { acquire }));
        self.core.state = RunState::Waiting;
        self.core.since = Ticks::now();
        self.core.spec.local_metrics().record_wait_start();
        context::set_waiting(true);
        self.poll_waiting(cx, cancel_waker)
    }

    fn reject(&mut self, rejected: Rejected) -> StepFlow {
        let end = self.finish_without_value(TaskError::Rejected(rejected));
        StepFlow::Break(Poll::Ready(self.deliver(end)))
    }

    pub(super) fn poll_waiting(
        &mut self,
        cx: &mut Context<'_>,
        cancel_waker: Option<&CancelWaker>,
    ) -> StepFlow {
        if self.core.poll_fired(self.token, cx, cancel_waker) {
            let end = self.finish_cancelled();
            return StepFlow::Break(Poll::Ready(self.deliver(end)));
        }
        let Some(WaitProjected::Permit { acquire }) = self.core.wait() else {
            unreachable!("a run that waits has what it waits for");
        };
        let Poll::Ready(permit) = acquire.as_mut().poll(cx) else {
            return StepFlow::Break(Poll::Pending);
        };
        self.core.permit = Some(permit);
        *self.core.cold_mut().wait = None;
        let counters = self.core.spec.local_metrics();
        counters.record_wait_end();
        counters.record_wait(self.core.since.elapsed_nanos());
        context::set_waiting(false);
        StepFlow::Continue(())
    }
}
