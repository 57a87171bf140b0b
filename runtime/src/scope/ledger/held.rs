//! Spawns that wait and that nobody polls: a `select!` may keep one, while its task joins the group.
//!
//! When no task is left, the join asks the spawns that wait: it wakes them, and one that is polled has answered. If
//! none does for [`SILENCE`], nobody will: the join closes the group, and they are refused. While one answers, the
//! join waits for it, and asks again each `SILENCE`. In a runtime without timers it does not ask, and waits.

use std::{
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use super::Shared;
use crate::{
    Cancelled, Cause, TaskError,
    panic::{self, Caught, drop_quietly, quietly},
    scope::timer::Timer,
    spec::TaskSpec,
};

/// How long a spawn that is woken may take until it is polled.
const SILENCE: Duration = Duration::from_secs(1);

/// A spawn that waits.
pub(super) struct Wait<E> {
    spec: &'static TaskSpec,
    error: fn(TaskError) -> E,
    waker: Option<Waker>,
    /// Polled since it was asked.
    answers: bool,
}

impl<E> Wait<E> {
    pub(super) fn new(spec: &'static TaskSpec, error: fn(TaskError) -> E) -> Self {
        Self { spec, error, waker: None, answers: true }
    }
}

impl<T, E> Shared<T, E> {
    /// A spawn that waits is polled.
    pub(in crate::scope) fn wait_polled(&self, number: u64, cx: &Context<'_>) {
        // Foreign code: not under the lock.
        let waker = cx.waker().clone();
        let mut state = self.state();
        let before = state.waits.get_mut(&number).and_then(|wait| {
            wait.answers = true;
            wait.waker.replace(waker)
        });
        drop(state);
        drop(before);
    }

    /// Ready once only spawns are left that nobody polls; the group is closed then.
    #[cold]
    pub(super) fn poll_held(&self, silence: &mut Option<Timer>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if !self.state().only_waits() {
                *silence = None;
                return Poll::Pending;
            }
            if let Some(timer) = silence {
                ready!(timer.poll(cx));
                *silence = None;
                if self.closes_if_held() {
                    return Poll::Ready(());
                }
            } else {
                self.ask_waits();
                *silence = Timer::begin(SILENCE);
                if silence.is_none() {
                    return Poll::Pending;
                }
            }
        }
    }

    fn ask_waits(&self) {
        let mut state = self.state();
        let asked = |wait: &mut Wait<E>| {
            wait.answers = false;
            wait.waker.take()
        };
        let wakers: Vec<_> = state.waits.values_mut().filter_map(asked).collect();
        drop(state);
        for waker in wakers {
            quietly(|| waker.wake());
        }
    }

    fn closes_if_held(&self) -> bool {
        // The join must not pass for complete if the token has fired; the callers find the group joined.
        let refused = self.token.is_cancelled().then(|| self.refused_while_held()).flatten();
        let mut state = self.state();
        let held = state.only_waits() && !state.waits.values().any(|wait| wait.answers);
        let surplus = match refused {
            Some(Ok(error)) if held && state.refused.error.is_none() => {
                state.refused.error.replace(error).map(Ok)
            }
            Some(Err(caught)) if held => state.record_untold(caught).map(Err),
            refused => refused,
        };
        state.closed |= held;
        drop(state);
        drop_quietly(surplus);
        held
    }

    fn refused_while_held(&self) -> Option<Result<E, Caught>> {
        let state = self.state();
        let (spec, error) = state.waits.values().next().map(|wait| (wait.spec, wait.error))?;
        drop(state);
        let cause = self.scope.cause().unwrap_or(Cause::Token);
        let cancelled = TaskError::Cancelled(Cancelled::new(spec, cause));
        Some(panic::catch(|| error(cancelled)))
    }
}
