//! The future that a supervised function returns.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;

#[cfg(debug_assertions)]
use crate::run::machine::{Between, OnePoll};
use crate::{
    error::TaskError, function::TaskSpec, function::limit::Permit, outcome::Outcome, token::AsToken,
};
use crate::{
    run::body::{Failure, OnError, is_overdue, put_error_text, result},
    run::machine::{PollContext, RunEnded},
    run::output::{Output, SupervisedOutput, converted, output},
    run::{Run, function},
};

pin_project! {
    /// A call of a supervised function, lazy like any future: nothing runs until it is polled.
    ///
    /// Awaited, it gives what the function declares. It holds the body inline and the token as it was
    /// given, lent or owned; with an owned token and owned parameters it is `'static` and can be
    /// spawned, best by a [`Group`](crate::Group).
    ///
    /// # Panics
    ///
    /// When it is polled again after it has ended. A `timeout` or a `grace` needs a tokio runtime that has its timer
    /// enabled: without one, a run that is pending ends as `panicked`.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it runs, it drops the body where it is, counts the run as `dropped` and gives its
    /// permit back. Dropped while it waits for its permit, it leaves the queue.
    #[must_use = "a supervised call does nothing until it is awaited or spawned"]
    pub struct Supervised<F, T = CancellationToken>
    where
        F: Future,
        T: AsToken,
    {
        #[pin]
        pub(crate) run: Run<F, T>,
        pub(crate) from_task_error: fn(TaskError) -> F::Output,
    }
}

/// What the attribute's expansion calls.
pub fn supervise<F: Future, T: AsToken>(
    spec: &'static TaskSpec,
    token: T,
    output: Output<F::Output>,
    body: F,
) -> Supervised<F, T> {
    Supervised {
        run: Run::new(spec, token, output.verdict, body),
        from_task_error: output.from_task_error,
    }
}

/// The same for a future whose type nobody wrote down: an error is judged by its being one.
pub fn supervise_foreign<I, T>(
    spec: &'static TaskSpec,
    token: T,
    future: I,
) -> Supervised<I::IntoFuture, T>
where
    I: IntoFuture<Output: SupervisedOutput>,
    T: AsToken,
{
    supervise(spec, token, output(I::Output::by_shape), future.into_future())
}

impl<F: Future, T: AsToken> Future for Supervised<F, T> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut value = Poll::Pending;
        #[cfg(debug_assertions)]
        drive!(self.lend(cx, &mut value, None));
        #[cfg(not(debug_assertions))]
        self.poll_into(cx, &mut value, None);
        value
    }
}

/// As [`Run::poll_end`]. Without optimization each function and value between this one and the body takes of the stack.
#[cfg(debug_assertions)]
macro_rules! drive {
    ($lent:expr) => {
        let mut poll = $lent;
        if poll.enter() {
            let mut between = Between(&mut poll.lent);
            let polled = std::panic::catch_unwind(move || between.poll());
            poll.exit(polled);
        }
    };
}
#[cfg(debug_assertions)]
use drive;

impl<F: Future, T: AsToken> Supervised<F, T> {
    /// Where the error of a call goes: into the value, unless there is a place of its own.
    fn on_error<'a>(
        from_task_error: fn(TaskError) -> F::Output,
        failed: Option<&'a mut Failure>,
    ) -> OnError<'a, F::Output> {
        match failed {
            Some(failed) => OnError::Keep(failed),
            None => OnError::Convert(from_task_error),
        }
    }

    #[cfg(not(debug_assertions))]
    #[inline]
    fn poll_into(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        value: &mut Poll<F::Output>,
        failed: Option<&mut Failure>,
    ) {
        let this = self.project();
        let on_error = Self::on_error(*this.from_task_error, failed);
        _ = this.run.poll_completion(cx, &PollContext::EMPTY, value, on_error);
    }

    #[cfg(debug_assertions)]
    fn lend<'a, 'c>(
        self: Pin<&'a mut Self>,
        cx: &'a mut Context<'c>,
        value: &'a mut Poll<F::Output>,
        failed: Option<&'a mut Failure>,
    ) -> OnePoll<'a, 'c, F> {
        let this = self.project();
        let on_error = Self::on_error(*this.from_task_error, failed);
        this.run.lend(cx, &PollContext::EMPTY, value, on_error)
    }
}

impl<F: Future, T: AsToken> fmt::Debug for Supervised<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervised").field("task", &self.run.spec().name()).finish_non_exhaustive()
    }
}

impl<F, T> Supervised<F, T>
where
    F: Future,
    F::Output: SupervisedOutput,
    T: AsToken,
{
    /// Converts the error, so that functions with different errors fit into one group or `map`.
    ///
    /// ```
    /// # use tokio_supervised::{supervised, CancellationToken, Group};
    /// # use std::io;
    /// #[supervised]
    /// async fn read() -> io::Result<u32> { Ok(1) }
    /// #[supervised]
    /// async fn parse() -> anyhow::Result<u32> { Ok(2) }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyhow::Result<()> {
    /// let group = Group::new(&CancellationToken::new());
    /// group.spawn(|token| parse(token)).await;
    /// group.spawn(|token| read(token).err_into()).await;
    /// let numbers: anyhow::Result<Vec<u32>> = group.join().await;
    /// assert_eq!(numbers?, [2, 1]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropped, the future drops this one, with what that says.
    pub fn err_into<E>(self) -> ErrInto<Self, E>
    where
        E: From<<F::Output as SupervisedOutput>::Error>,
    {
        ErrInto::of(self)
    }
}

pin_project! {
    /// A supervised future whose error is converted: see [`Supervised::err_into`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the call that it converts, with what that says.
    #[must_use = "a supervised call does nothing until it is awaited or spawned"]
    pub struct ErrInto<S, E> {
        #[pin]
        supervised: S,
        error: PhantomData<fn() -> E>,
    }
}

impl<S, E> ErrInto<S, E> {
    pub(crate) fn of(supervised: S) -> Self {
        Self { supervised, error: PhantomData }
    }
}

impl<S, E> Future for ErrInto<S, E>
where
    S: SupervisedFuture,
    E: From<S::Error>,
{
    type Output = Result<S::Value, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (mut value, mut failed) = (Poll::Pending, None);
        let mut supervised = self.project().supervised;
        supervised.as_mut().poll_value(cx, &mut value, &mut failed);
        if value.is_pending() && failed.is_none() {
            return Poll::Pending;
        }
        convert::<S, E>(&mut value, &mut failed, supervised.spec())
    }
}

/// Elsewhere, so that what it needs is not on the stack while a body is polled.
#[inline(never)]
fn convert<S, E>(
    value: &mut Poll<S::Output>,
    failed: &mut Failure,
    spec: &'static TaskSpec,
) -> Poll<Result<S::Value, E>>
where
    S: SupervisedFuture,
    E: From<S::Error>,
{
    let value = std::mem::replace(value, Poll::Pending);
    let result = S::settle(result(value, failed.take()));
    Poll::Ready(result.map_err(|error| convert_error::<S, E>(spec, error)))
}

fn convert_error<S, E>(spec: &'static TaskSpec, error: S::Error) -> E
where
    S: SupervisedFuture,
    E: From<S::Error>,
{
    converted(spec.name(), || E::from(error), |error| S::error(error).into())
}

/// How a spawned run ended, with the value and the error that its group knows.
pub struct TaskCompletion<T, E> {
    pub(crate) outcome: Outcome,
    /// It had not stopped within its grace, and was dropped.
    pub(crate) overdue: bool,
    /// How long the body took; 0 where that is not known.
    pub(crate) nanos: u64,
    pub(crate) result: Result<T, E>,
}

impl<T, E> TaskCompletion<T, E> {
    /// Of a run that its owner aborted; its scope counts it as cancelled.
    pub(crate) fn aborted(error: E) -> Self {
        Self { outcome: Outcome::Cancelled, overdue: false, nanos: 0, result: Err(error) }
    }
}

pub(super) mod sealed {
    pub trait Sealed {}
}

impl<F: Future, T: AsToken> sealed::Sealed for Supervised<F, T> {}
impl<S, E> sealed::Sealed for ErrInto<S, E> {}

/// What [`map`](crate::map()) and [`Group::spawn`](crate::group::Group::spawn) take: the call of a supervised function, or a
/// foreign future that [`task!`](crate::task) has given a name.
///
/// The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a supervised future",
    label = "nobody could stop it, name it or catch its panics",
    note = "put `#[supervised]` on the function that makes it, or wrap it: `task!(\"name\", |token| …)`"
)]
pub trait SupervisedFuture: Future + sealed::Sealed {
    /// What a run that went well gives.
    type Value;
    /// What one that did not gives.
    type Error;

    #[doc(hidden)]
    fn spec(&self) -> &'static TaskSpec;
    #[doc(hidden)]
    fn prepare(&mut self, prepared: Prepared);
    /// Before the first poll: if it was given the first token, it has the second one from now on.
    #[doc(hidden)]
    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken);
    #[doc(hidden)]
    fn poll_completion(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: PollContext<'_>,
    ) -> Poll<TaskCompletion<Self::Value, Self::Error>>;
    /// The poll of a call that is awaited where it is made: until it has ended both places are empty.
    #[doc(hidden)]
    fn poll_value(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        value: &mut Poll<Self::Output>,
        failed: &mut Failure,
    );
    #[doc(hidden)]
    fn settle(result: Result<Self::Output, TaskError>) -> Result<Self::Value, Self::Error>;
    #[doc(hidden)]
    fn error(error: TaskError) -> Self::Error;
    /// The function that makes such calls, if it is known.
    #[doc(hidden)]
    fn function() -> Option<&'static str>;
    /// Of a future that has ended: the token that it was given.
    #[doc(hidden)]
    fn take_back_token(self: Pin<&mut Self>) -> Option<CancellationToken> {
        None
    }
}

/// What a scope hands to a run before it spawns it.
pub struct Prepared {
    pub(crate) permit: Option<Permit>,
    pub(crate) longest_grace: Option<Duration>,
}

impl<F, T> SupervisedFuture for Supervised<F, T>
where
    F: Future,
    F::Output: SupervisedOutput,
    T: AsToken,
{
    type Value = <F::Output as SupervisedOutput>::Value;
    type Error = <F::Output as SupervisedOutput>::Error;

    fn spec(&self) -> &'static TaskSpec {
        self.run.spec()
    }

    fn prepare(&mut self, prepared: Prepared) {
        self.run.prepare(prepared.permit, prepared.longest_grace);
    }

    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken) {
        self.run.renew_token(from, to);
    }

    fn poll_completion(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: PollContext<'_>,
    ) -> Poll<TaskCompletion<Self::Value, Self::Error>> {
        let (mut value, mut failed) = (Poll::Pending, None);
        let mut run = self.project().run;
        run.as_mut().own_token(&poll_context);
        let polled =
            run.as_mut().poll_completion(cx, &poll_context, &mut value, OnError::Keep(&mut failed));
        let RunEnded { outcome, nanos } = ready!(polled);
        let overdue = is_overdue(&failed);
        put_error_text(poll_context.text, outcome, &value, &failed, run.verdict);
        let result = F::Output::into_result(result(value, failed));
        Poll::Ready(TaskCompletion { outcome, overdue, nanos, result })
    }

    fn take_back_token(self: Pin<&mut Self>) -> Option<CancellationToken> {
        self.project().run.take_back_token()
    }

    #[inline]
    fn poll_value(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        value: &mut Poll<F::Output>,
        failed: &mut Failure,
    ) {
        #[cfg(debug_assertions)]
        drive!(self.lend(cx, value, Some(failed)));
        #[cfg(not(debug_assertions))]
        self.poll_into(cx, value, Some(failed));
    }

    fn settle(result: Result<F::Output, TaskError>) -> Result<Self::Value, Self::Error> {
        F::Output::into_result(result)
    }

    fn error(error: TaskError) -> Self::Error {
        F::Output::error(error)
    }

    fn function() -> Option<&'static str> {
        function::of_body::<F>(1)
    }
}

impl<S, E> SupervisedFuture for ErrInto<S, E>
where
    S: SupervisedFuture,
    E: From<S::Error>,
{
    type Value = S::Value;
    type Error = E;

    fn spec(&self) -> &'static TaskSpec {
        self.supervised.spec()
    }

    fn prepare(&mut self, prepared: Prepared) {
        self.supervised.prepare(prepared);
    }

    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken) {
        self.supervised.renew_token(from, to);
    }

    fn poll_completion(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: PollContext<'_>,
    ) -> Poll<TaskCompletion<Self::Value, Self::Error>> {
        let spec = self.spec();
        let polled = self.project().supervised.poll_completion(cx, poll_context);
        polled.map(|TaskCompletion { outcome, overdue, nanos, result }| {
            let result = result.map_err(|error| convert_error::<S, E>(spec, error));
            TaskCompletion { outcome, overdue, nanos, result }
        })
    }

    fn take_back_token(self: Pin<&mut Self>) -> Option<CancellationToken> {
        self.project().supervised.take_back_token()
    }

    fn poll_value(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        value: &mut Poll<Self::Output>,
        _: &mut Failure,
    ) {
        *value = self.poll(cx);
    }

    fn settle(result: Result<Self::Output, TaskError>) -> Result<S::Value, E> {
        result.unwrap_or_else(|error| Err(Self::error(error)))
    }

    fn error(error: TaskError) -> E {
        let task = error.task();
        let of_the_panic = |error| S::error(error).into();
        converted(task, || S::error(error).into(), of_the_panic)
    }

    fn function() -> Option<&'static str> {
        S::function()
    }
}
