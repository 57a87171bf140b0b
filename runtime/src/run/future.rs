//! The future that a supervised function returns.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;

#[cfg(debug_assertions)]
use crate::run::machine::{Between, OnePoll};
use crate::{
    error::TaskError, function::TaskSpec, function::limit::Permit, outcome::Outcome,
    token::AsToken, token::ReplacedToken, tuning::Tuning,
};
use crate::{
    run::body::{Failure, OnError, is_overdue, put_error_note, result},
    run::machine::{PollContext, RunEnded},
    run::output::{Output, SupervisedOutput, converted, output},
    run::{Run, function},
};

pin_project! {
    /// A call of a supervised function, lazy like any future: nothing runs until it is polled.
    ///
    /// Its output is the function's return type. It holds the body inline, and the token as it was passed, borrowed or
    /// owned. With an owned token and owned parameters it is `'static` and can be spawned, best by a
    /// [`Group`](crate::Group).
    ///
    /// # Panics
    ///
    /// If it is polled again after it has finished. A `timeout` or a `grace` needs a tokio runtime with its timer enabled:
    /// without one, a pending run finishes as `panicked`.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped while it runs, it drops the body at its current `.await`, counts the run as `dropped` and
    /// releases its permit. If it is dropped while it waits for a permit, it is removed from the queue.
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

/// Makes a supervised call; called by the expansion of the attribute.
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

/// The same for a future whose type is not written down: every `Err` counts as an error.
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

/// As [`Run::poll_completion`]. Without optimization, each function and value between this one and the body takes stack.
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
    /// Chooses where to store the error of a call: in `failed` if it is given, else in the value.
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
    /// Converts the error: functions with different errors then fit into one group or `map`.
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
    /// Dropping the future drops this call, as described there.
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
    /// Dropping it drops the call that it converts, as described there.
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

/// Not inlined: the conversion needs no stack while a body is polled.
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

/// How a spawned run finished, with the value and the error type of its group.
pub struct TaskCompletion<T, E> {
    pub(crate) outcome: Outcome,
    /// Whether it had not stopped within its grace, and was dropped.
    pub(crate) overdue: bool,
    /// How long the body ran, in nanoseconds; 0 if that is not known.
    pub(crate) nanos: u64,
    pub(crate) result: Result<T, E>,
}

impl<T, E> TaskCompletion<T, E> {
    /// The completion of a run that its owner aborted, which its scope counts as cancelled.
    pub(crate) fn aborted(error: E) -> Self {
        Self { outcome: Outcome::Cancelled, overdue: false, nanos: 0, result: Err(error) }
    }
}

pub(super) mod sealed {
    pub trait Sealed {}
}

impl<F: Future, T: AsToken> sealed::Sealed for Supervised<F, T> {}
impl<S, E> sealed::Sealed for ErrInto<S, E> {}

/// The call of a supervised function, or another future that [`task!`](crate::task) has named: what
/// [`map`](crate::map()) and [`Group::spawn`](crate::group::Group::spawn) take.
///
/// The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a supervised future",
    label = "it has no token and no name, and its panics are not caught",
    note = "put `#[supervised]` on the function that returns it, or wrap it: `task!(\"name\", |token| …)`"
)]
pub trait SupervisedFuture: Future + sealed::Sealed {
    /// The success type.
    type Value;
    /// The error type.
    type Error;

    #[doc(hidden)]
    fn spec(&self) -> &'static TaskSpec;
    #[doc(hidden)]
    fn prepare(&mut self, prepared: Prepared);
    /// Whether a call of this type may have per-call options. A constant, so other calls pay nothing.
    #[doc(hidden)]
    const MAY_BE_TUNED: bool = false;
    /// Sets options of this call, before the first poll.
    #[doc(hidden)]
    fn tune(&mut self, tuning: Tuning);
    /// The options of this call.
    #[doc(hidden)]
    fn tuning(&self) -> Option<&Arc<Tuning>>;
    /// Replaces the token, before the first poll, if it is the first one given here.
    #[doc(hidden)]
    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken);
    /// Gives a spawned call a child token before its first poll, if its body takes the token.
    #[doc(hidden)]
    fn own_token(self: Pin<&mut Self>) -> Option<ReplacedToken<'_>>;
    #[doc(hidden)]
    fn poll_completion(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: PollContext<'_>,
    ) -> Poll<TaskCompletion<Self::Value, Self::Error>>;
    /// Polls a call that is awaited inline: both places are empty until it has finished.
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
    /// The name of the function that makes such calls, if it is known.
    #[doc(hidden)]
    fn function() -> Option<&'static str>;
    /// Returns the token that was given to a future that has finished.
    #[doc(hidden)]
    fn take_back_token(self: Pin<&mut Self>) -> Option<CancellationToken> {
        None
    }
}

/// The parts that a scope passes to a run before it spawns it.
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

    fn tune(&mut self, tuning: Tuning) {
        self.run.tune(tuning);
    }

    fn tuning(&self) -> Option<&Arc<Tuning>> {
        self.run.tuning()
    }

    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken) {
        self.run.renew_token(from, to);
    }

    #[inline]
    fn own_token(self: Pin<&mut Self>) -> Option<ReplacedToken<'_>> {
        self.project().run.own_token()
    }

    // Not inlined, it costs 50 instructions in each poll of a map's run.
    #[inline(always)]
    fn poll_completion(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: PollContext<'_>,
    ) -> Poll<TaskCompletion<Self::Value, Self::Error>> {
        let (mut value, mut failed) = (Poll::Pending, None);
        let mut run = self.project().run;
        let polled =
            run.as_mut().poll_completion(cx, &poll_context, &mut value, OnError::Keep(&mut failed));
        let RunEnded { outcome, nanos } = ready!(polled);
        let overdue = is_overdue(&failed);
        put_error_note(poll_context.note, run.spec(), outcome, &value, &failed, run.verdict);
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

    const MAY_BE_TUNED: bool = S::MAY_BE_TUNED;

    fn tune(&mut self, tuning: Tuning) {
        self.supervised.tune(tuning);
    }

    fn tuning(&self) -> Option<&Arc<Tuning>> {
        self.supervised.tuning()
    }

    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken) {
        self.supervised.renew_token(from, to);
    }

    fn own_token(self: Pin<&mut Self>) -> Option<ReplacedToken<'_>> {
        self.project().supervised.own_token()
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
