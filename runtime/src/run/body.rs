//! The body of a run and the place of its value, as the state machine sees them: without their types.
//!
//! The machine is compiled once. A function adds to a program only the poll of its body and the two methods of [`Body`].

use std::{
    cell::Cell,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    error::TaskError,
    function::TaskSpec,
    outcome::Outcome,
    run::output::{ErrorNote, Judge, Verdict, put_note},
};

/// A body that can be dropped, and the place of its value. Both methods call user code, which may panic.
pub(super) trait Body {
    /// Takes the error of a run that has ended without a value.
    fn fail(&mut self, failed: Failed);

    /// Drops what it returned, then itself: each at most once, also if one of them panics.
    fn discard(&mut self);
}

/// The places of the body and of its value, borrowed for one poll or for the drop of the run.
pub(super) struct InPlace<'a, F: Future> {
    pub(super) body: Pin<&'a mut Option<F>>,
    pub(super) verdict: Judge<F::Output>,
    pub(super) value: &'a mut Poll<F::Output>,
    pub(super) on_error: OnError<'a, F::Output>,
}

/// How the error of a run that returns no value is handled.
pub(super) enum OnError<'a, R> {
    /// Into the place of the value, as the function's return type.
    Convert(fn(TaskError) -> R),
    Keep(&'a mut Failure),
}

/// The error of a run, if it has one. Boxed, since it is on the stack while the body is polled.
pub(super) type Failure = Option<Box<Failed>>;

pub struct Failed {
    pub(super) error: TaskError,
    /// It did not end within its grace, and was dropped.
    pub(super) overdue: bool,
}

/// Whether the run had not finished within its grace.
pub(super) fn is_overdue(failed: &Failure) -> bool {
    failed.as_ref().is_some_and(|failed| failed.overdue)
}

/// The result of a run that has finished.
#[inline]
pub(super) fn result<R>(value: Poll<R>, failed: Failure) -> Result<R, TaskError> {
    match failed {
        Some(failed) => Err(failed.error),
        None => match value {
            Poll::Ready(value) => Ok(value),
            Poll::Pending => unreachable!("a run without an error has returned"),
        },
    }
}

/// Puts the note of the error into its place, if the run failed and there is one. A panic was logged when it was caught,
/// and a cancellation is no failure.
#[inline]
pub(super) fn put_error_note<R>(
    place: Option<&Cell<Option<ErrorNote>>>,
    task: &'static TaskSpec,
    outcome: Outcome,
    value: &Poll<R>,
    failed: &Failure,
    judge: Judge<R>,
) {
    let is_failure = matches!(outcome, Outcome::Error | Outcome::TimedOut | Outcome::Rejected);
    let Some(place) = place.filter(|_| is_failure) else { return };
    let result = match (failed, value) {
        (Some(failed), _) => Err(&failed.error),
        (None, Poll::Ready(value)) => Ok(value),
        (None, Poll::Pending) => return,
    };
    put_note(place, task, result, judge);
}

fn running<'a, F>(body: &'a mut Pin<&mut Option<F>>) -> Pin<&'a mut F> {
    body.as_mut().as_pin_mut().expect("a running body exists")
}

/// Not inlined: without optimization the drop of a value would need stack while a body is polled.
fn put<R>(place: &mut Poll<R>, polled: Poll<R>) {
    // The place is empty: no drop code is generated for it.
    mem::forget(mem::replace(place, polled));
}

impl<F: Future> InPlace<'_, F> {
    /// Polls the body, and drops it when it has returned. What it returned stays, also if the drop panics.
    // Always inlined: this saves a frame without optimization.
    #[inline(always)]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Option<Verdict> {
        put(self.value, running(&mut self.body).poll(cx));
        self.judge()
    }

    /// Judges what the body has returned, if it has, and drops it.
    #[inline]
    fn judge(&mut self) -> Option<Verdict> {
        // The value is in its place before it is judged: the judge is user code as well.
        let Poll::Ready(value) = &*self.value else { return None };
        let verdict = (self.verdict)(value, None);
        self.body.set(None);
        Some(verdict)
    }
}

impl<F: Future> Body for InPlace<'_, F> {
    #[cold]
    fn fail(&mut self, failed: Failed) {
        match &mut self.on_error {
            OnError::Convert(from_task_error) => {
                *self.value = Poll::Ready(from_task_error(failed.error));
            }
            OnError::Keep(place) => **place = Some(Box::new(failed)),
        }
    }

    fn discard(&mut self) {
        *self.value = Poll::Pending;
        self.body.set(None);
    }
}
