//! Spawns that wait and that nobody polls: a `select!` may keep one, while its task joins the group.
//!
//! When no task is left, the join asks the spawns that wait: it wakes them, and one that is polled has answered. If
//! none does for [`RESPONSE_TIME`], nobody will: the join closes the group, and they are refused. While one answers,
//! the join waits for it, and asks again each `RESPONSE_TIME`. In a runtime without timers it does not ask, and waits.

use std::{
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use crate::group::state::GroupState;
use crate::{
    cause::Cause,
    error::{Cancelled, TaskError},
    function::TaskSpec,
    panic,
    panic::{Caught, drop_quietly, quietly},
    tasks::timer::Timer,
};

/// How long a spawn that is woken may take until it is polled.
const RESPONSE_TIME: Duration = Duration::from_secs(1);

/// A spawn that waits.
pub(crate) struct Waiter<E> {
    spec: &'static TaskSpec,
    error: fn(TaskError) -> E,
    waker: Option<Waker>,
    /// Polled since it was asked.
    polled: bool,
}

impl<E> Waiter<E> {
    pub(crate) fn new(spec: &'static TaskSpec, error: fn(TaskError) -> E) -> Self {
        Self { spec, error, waker: None, polled: true }
    }
}

impl<T, E> GroupState<T, E> {
    /// A spawn that waits is polled.
    pub(crate) fn waiter_polled(&self, number: u64, cx: &Context<'_>) {
        // Foreign code: not under the lock.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        let before = state.waiters.get_mut(&number).and_then(|waiter| {
            waiter.polled = true;
            waiter.waker.replace(waker)
        });
        drop(state);
        drop(before);
    }

    /// Ready once only spawns are left that nobody polls; the group is closed then.
    #[cold]
    pub(crate) fn poll_waiters(
        &self,
        timeout: &mut Option<Timer>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            if !self.lock().only_waiters_left() {
                *timeout = None;
                return Poll::Pending;
            }
            if let Some(timer) = timeout {
                ready!(timer.poll(cx));
                *timeout = None;
                if self.close_if_unpolled() {
                    return Poll::Ready(());
                }
            } else {
                self.wake_waiters();
                *timeout = Timer::start(RESPONSE_TIME);
                if timeout.is_none() {
                    return Poll::Pending;
                }
            }
        }
    }

    fn wake_waiters(&self) {
        let mut state = self.lock();
        let taken = |waiter: &mut Waiter<E>| {
            waiter.polled = false;
            waiter.waker.take()
        };
        let wakers: Vec<_> = state.waiters.values_mut().filter_map(taken).collect();
        drop(state);
        for waker in wakers {
            quietly(|| waker.wake());
        }
    }

    fn close_if_unpolled(&self) -> bool {
        // The join must not pass for complete if the token has fired; the callers find the group joined.
        let refused = self.token.is_cancelled().then(|| self.refusal_of_waiter()).flatten();
        let mut state = self.lock();
        let unpolled =
            state.only_waiters_left() && !state.waiters.values().any(|waiter| waiter.polled);
        let surplus = match refused {
            Some(Ok(error)) if unpolled && state.refused.error.is_none() => {
                state.refused.error.replace(error).map(Ok)
            }
            Some(Err(caught)) if unpolled => state.record_untold(caught).map(Err),
            refused => refused,
        };
        state.closed |= unpolled;
        drop(state);
        drop_quietly(surplus);
        unpolled
    }

    fn refusal_of_waiter(&self) -> Option<Result<E, Caught>> {
        let state = self.lock();
        let (spec, error) =
            state.waiters.values().next().map(|waiter| (waiter.spec, waiter.error))?;
        drop(state);
        let cause = self.scope.cause().unwrap_or(Cause::Token);
        let cancelled = TaskError::Cancelled(Cancelled::new(spec, cause));
        Some(panic::catch(|| error(cancelled)))
    }
}
