//! A supervised future behind a pointer: one type for the calls of different functions.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio_util::sync::CancellationToken;

use crate::{
    error::TaskError,
    function::TaskSpec,
    run::body::{Failure, result},
    run::future::{Prepared, SupervisedFuture, TaskCompletion, sealed::Sealed},
    run::machine::PollContext,
    run::output::converted,
    token::ReplacedToken,
    tuning::Tuning,
};

/// A supervised future in a `Box`: see [`Supervised::boxed`](crate::Supervised::boxed).
///
/// It is a supervised future like the one inside: it can be awaited, and spawned into a group, a pool or a map.
///
/// # Cancel safety
///
/// Dropping it drops the call inside, as described there.
#[must_use = "a supervised call does nothing until it is awaited or spawned"]
pub struct BoxedTask<T, E>(Boxed<T, E>);

/// A call can be prepared until it is pinned, which its first poll does.
enum Boxed<T, E> {
    New(Box<dyn DynCall<T, E>>),
    Pinned(Pin<Box<dyn DynCall<T, E>>>),
    /// Only while the box is pinned.
    Moving,
}

/// A supervised future without its type.
trait DynCall<T, E>: Send {
    fn spec(&self) -> &'static TaskSpec;
    fn prepare(&mut self, prepared: Prepared);
    fn tune(&mut self, tuning: Tuning);
    fn tuning(&self) -> Option<&Arc<Tuning>>;
    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken);
    fn own_token(self: Pin<&mut Self>) -> Option<ReplacedToken<'_>>;
    fn poll_inline(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>>;
    fn poll_completion(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: PollContext<'_>,
    ) -> Poll<TaskCompletion<T, E>>;
    fn take_back_token(self: Pin<&mut Self>) -> Option<CancellationToken>;
}

impl<S: SupervisedFuture + Send> DynCall<S::Value, S::Error> for S {
    fn spec(&self) -> &'static TaskSpec {
        SupervisedFuture::spec(self)
    }

    fn prepare(&mut self, prepared: Prepared) {
        SupervisedFuture::prepare(self, prepared);
    }

    fn tune(&mut self, tuning: Tuning) {
        SupervisedFuture::tune(self, tuning);
    }

    fn tuning(&self) -> Option<&Arc<Tuning>> {
        SupervisedFuture::tuning(self)
    }

    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken) {
        SupervisedFuture::renew_token(self, from, to);
    }

    fn own_token(self: Pin<&mut Self>) -> Option<ReplacedToken<'_>> {
        SupervisedFuture::own_token(self)
    }

    fn poll_inline(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<S::Value, S::Error>> {
        let (mut value, mut failed) = (Poll::Pending, None);
        self.poll_value(cx, &mut value, &mut failed);
        if value.is_pending() && failed.is_none() {
            return Poll::Pending;
        }
        Poll::Ready(S::settle(result(value, failed)))
    }

    fn poll_completion(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: PollContext<'_>,
    ) -> Poll<TaskCompletion<S::Value, S::Error>> {
        SupervisedFuture::poll_completion(self, cx, poll_context)
    }

    fn take_back_token(self: Pin<&mut Self>) -> Option<CancellationToken> {
        SupervisedFuture::take_back_token(self)
    }
}

impl<T, E> BoxedTask<T, E> {
    pub(crate) fn new<S>(call: S) -> Self
    where
        S: SupervisedFuture<Value = T, Error = E> + Send + 'static,
    {
        Self(Boxed::New(Box::new(call)))
    }

    fn call(&self) -> &dyn DynCall<T, E> {
        match &self.0 {
            Boxed::New(call) => &**call,
            Boxed::Pinned(call) => &**call,
            Boxed::Moving => unreachable!("a box is moved within one function"),
        }
    }

    /// The call, until its first poll.
    fn new_call(&mut self) -> Option<&mut (dyn DynCall<T, E> + 'static)> {
        match &mut self.0 {
            Boxed::New(call) => Some(&mut **call),
            Boxed::Pinned(_) | Boxed::Moving => None,
        }
    }

    fn pinned(&mut self) -> Pin<&mut (dyn DynCall<T, E> + 'static)> {
        if let Boxed::New(_) = self.0 {
            if let Boxed::New(call) = std::mem::replace(&mut self.0, Boxed::Moving) {
                self.0 = Boxed::Pinned(Box::into_pin(call));
            }
        }
        match &mut self.0 {
            Boxed::Pinned(call) => call.as_mut(),
            Boxed::New(_) | Boxed::Moving => unreachable!("it was pinned above"),
        }
    }
}

/// The call is pinned in its box.
impl<T, E> Unpin for BoxedTask<T, E> {}

impl<T, E> fmt::Debug for BoxedTask<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxedTask")
            .field("task", &self.call().spec().name())
            .finish_non_exhaustive()
    }
}

impl<T, E> Future for BoxedTask<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.pinned().poll_inline(cx)
    }
}

impl<T, E> Sealed for BoxedTask<T, E> {}

impl<T, E: From<TaskError>> SupervisedFuture for BoxedTask<T, E> {
    type Value = T;
    type Error = E;

    const MAY_BE_TUNED: bool = true;

    fn spec(&self) -> &'static TaskSpec {
        self.call().spec()
    }

    fn prepare(&mut self, prepared: Prepared) {
        if let Some(call) = self.new_call() {
            call.prepare(prepared);
        }
    }

    fn tune(&mut self, tuning: Tuning) {
        if let Some(call) = self.new_call() {
            call.tune(tuning);
        }
    }

    fn tuning(&self) -> Option<&Arc<Tuning>> {
        self.call().tuning()
    }

    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken) {
        if let Some(call) = self.new_call() {
            call.renew_token(from, to);
        }
    }

    fn own_token(self: Pin<&mut Self>) -> Option<ReplacedToken<'_>> {
        self.get_mut().pinned().own_token()
    }

    fn poll_completion(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: PollContext<'_>,
    ) -> Poll<TaskCompletion<T, E>> {
        Poll::Ready(ready!(self.pinned().poll_completion(cx, poll_context)))
    }

    fn poll_value(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        value: &mut Poll<Self::Output>,
        _: &mut Failure,
    ) {
        *value = self.poll(cx);
    }

    fn settle(result: Result<Self::Output, TaskError>) -> Result<T, E> {
        result.unwrap_or_else(|error| Err(Self::error(error)))
    }

    fn error(error: TaskError) -> E {
        let task = error.task();
        converted(task, || E::from(error), E::from)
    }

    fn function() -> Option<&'static str> {
        None
    }

    fn take_back_token(mut self: Pin<&mut Self>) -> Option<CancellationToken> {
        self.pinned().take_back_token()
    }
}
