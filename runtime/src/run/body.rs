//! A body in its place, as those see it who do not know its type.
//!
//! What is done to a run is the same code for all functions, so that a function adds little to the build and
//! the size of a program: the two calls of [`Body`], and what makes and unmakes them.

use std::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use super::output::{Judge, Verdict};

/// A body that may be polled and dropped. All of it is the user's code, and may panic.
pub(super) trait Body {
    /// Polls it, and drops it when it has returned; what it returned stays, also where the drop panics.
    fn poll(&mut self, cx: &mut Context<'_>) -> Option<Verdict>;

    /// Drops what it returned, then itself: each at most once, also where one of them panics.
    fn discard(&mut self);
}

/// It borrows both places, that of the body and that of its value, for one poll or for the drop of the run.
pub(super) struct InPlace<'a, F: Future> {
    pub(super) body: Pin<&'a mut Option<F>>,
    pub(super) verdict: Judge<F::Output>,
    pub(super) value: &'a mut Poll<F::Output>,
}

impl<F: Future> Body for InPlace<'_, F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Option<Verdict> {
        let running = self.body.as_mut().as_pin_mut().expect("a running body is there");
        // Its place is empty: there is nothing to be dropped, and no code for it.
        mem::forget(mem::replace(self.value, running.poll(cx)));
        // It has its place before it is looked at, which is the user's code as well.
        let Poll::Ready(value) = &*self.value else { return None };
        let verdict = (self.verdict)(value, None);
        self.body.set(None);
        Some(verdict)
    }

    fn discard(&mut self) {
        *self.value = Poll::Pending;
        self.body.set(None);
    }
}
