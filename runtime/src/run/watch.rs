//! Waits for a token to fire, for a run and for a call between two runs.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::Context,
};

use tokio::task::coop::unconstrained;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::context::cancel_waker::CancelWaker;

/// The wait for a token, if there is no cancel waker for it.
pub(super) type Watch = Option<WaitForCancellationFutureOwned>;

/// Whether the token or that of the scope has fired, if no watch is needed to know it and to be woken.
#[inline]
pub(super) fn fired(token: &CancellationToken, cancel_waker: Option<&CancelWaker>) -> Option<bool> {
    let cancel_waker = cancel_waker?;
    if cancel_waker.is_for(token) {
        return Some(token.is_cancelled());
    }
    // The closure of the spawn may have ignored the token of its scope, which still cancels the run.
    cancel_waker.fired().then_some(true)
}

/// Whether the token has fired; if not, the task is woken when it does.
#[inline]
pub(super) fn poll(
    mut watch: Pin<&mut Watch>,
    token: &CancellationToken,
    cx: &mut Context<'_>,
) -> bool {
    if watch.is_none() {
        watch.set(Some(token.clone().cancelled_owned()));
    }
    let watch = watch.as_pin_mut().expect("set above");
    // The body may have used up the budget, and the token must be polled anyway.
    pin!(unconstrained(watch)).poll(cx).is_ready()
}
