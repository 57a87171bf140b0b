//! A body in its place, as those see it who do not know its type.
//!
//! What is done to a run is the same code for all functions, so that a function adds little to the build and
//! the size of a program: the poll of its body between the two halves of a step, the two calls of [`Body`], and what
//! makes and unmakes them.

use std::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use crate::error::TaskError;
use crate::run::output::{Judge, Verdict};

/// A body that may be dropped, and the place of its value. All of it is the user's code, and may panic.
pub(super) trait Body {
    /// Takes the error of a run that has ended without a value.
    fn fail(&mut self, failed: Failed);

    /// Drops what it returned, then itself: each at most once, also where one of them panics.
    fn discard(&mut self);
}

/// It borrows both places, that of the body and that of its value, for one poll or for the drop of the run.
pub(super) struct InPlace<'a, F: Future> {
    pub(super) body: Pin<&'a mut Option<F>>,
    pub(super) verdict: Judge<F::Output>,
    pub(super) value: &'a mut Poll<F::Output>,
    pub(super) on_error: OnError<'a, F::Output>,
}

/// Where the error of a run without a value goes.
pub(super) enum OnError<'a, R> {
    /// Into the place of the value, as what the function declares.
    Convert(fn(TaskError) -> R),
    Keep(&'a mut Failure),
}

/// A run that has ended without a value. Boxed, since it is on the stack while the body is polled.
pub(super) type Failure = Option<Box<Failed>>;

pub struct Failed {
    pub(super) error: TaskError,
    /// It had not ended within its grace, and was dropped.
    pub(super) overdue: bool,
}

fn running<'a, F>(body: &'a mut Pin<&mut Option<F>>) -> Pin<&'a mut F> {
    body.as_mut().as_pin_mut().expect("a running body is there")
}

/// Elsewhere, so that without optimization what the drop of a value needs is not on the stack while a body is polled.
fn put<R>(place: &mut Poll<R>, polled: Poll<R>) {
    // The place is empty: there is nothing to be dropped, and no code for it.
    mem::forget(mem::replace(place, polled));
}

impl<F: Future> InPlace<'_, F> {
    /// Polls the body, and drops it when it has returned; what it returned stays, also where the drop panics.
    // By force: without optimization there is a frame less.
    #[inline(always)]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Option<Verdict> {
        put(self.value, running(&mut self.body).poll(cx));
        self.judge()
    }

    /// Judges what the body has returned, if it has, and drops it.
    #[inline]
    fn judge(&mut self) -> Option<Verdict> {
        // It has its place before it is looked at, which is the user's code as well.
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
