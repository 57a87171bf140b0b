//! The future that a supervised function with `restart` or `every` returns.

pub(crate) mod args;
pub(crate) mod backoff;
pub(crate) mod call;
pub(crate) mod filter;
pub(crate) mod ticks;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;

use crate::{
    error::TaskError, function::TaskSpec, token::AsToken, token::ReplacedToken, tuning::Tuning,
};
use crate::{
    run::body::{Failure, is_overdue, result},
    run::function,
    run::future::{ErrInto, Prepared, SupervisedFuture, TaskCompletion, sealed::Sealed},
    run::machine::{PollContext, RunEnded},
    run::output::{FallibleOutput, Output, PeriodicOutput, SupervisedOutput},
    run::restart::args::BodyFactory,
    run::restart::call::Call,
    run::restart::filter::{RestartFilter, RestartIf},
    run::restart::ticks::Ticks,
};
use tokio_util::sync::CancellationToken;

pin_project! {
    /// A call of a supervised function with `restart` or `every`, lazy like any future: nothing runs until it is polled.
    ///
    /// Its output is that of the last run. One call is several runs: each starts with clones of the parameters, and has
    /// its own permit, timeout and outcome. Between two runs the call holds only its parameters and its token. A periodic
    /// call whose token fires between two runs returns `Ok(())`, if the last run succeeded.
    ///
    /// ```
    /// # use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
    /// # use tokio_supervised::{supervised, CancellationToken};
    /// #[supervised(restart = "on-failure", backoff = "1ms..10ms")]
    /// async fn connect(tries: Arc<AtomicU32>) -> anyhow::Result<u32> {
    ///     let tries = tries.fetch_add(1, Ordering::Relaxed) + 1;
    ///     anyhow::ensure!(tries == 3, "connection refused");
    ///     Ok(tries)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyhow::Result<()> {
    /// assert_eq!(connect(&CancellationToken::new(), Arc::default()).await?, 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If it is polled again after it has finished. The wait before another run needs a tokio runtime with its timer
    /// enabled: without one the call finishes as `panicked`, and a `WARN` event has the error of the last run, if it
    /// failed.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped while it runs, it drops the body at its current `.await`, counts the run as `dropped` and releases
    /// its permit. If it is dropped between two runs, it starts and counts nothing.
    #[must_use = "a supervised call does nothing until it is awaited or spawned"]
    pub struct Restarting<C>
    where
        C: Runs,
    {
        #[pin]
        call: C,
        from_task_error: fn(TaskError) -> C::Output,
    }
}

/// The runs of one call, with the body, the parameters and the token inside. As one opaque type, the compiler infers
/// whether it is `Send`.
pub trait Runs {
    /// The return type of the body.
    type Output;

    #[doc(hidden)]
    fn spec(&self) -> &'static TaskSpec;
    #[doc(hidden)]
    fn function() -> Option<&'static str>;
    #[doc(hidden)]
    fn prepare(&mut self, prepared: Prepared);
    #[doc(hidden)]
    fn set_ticks(&mut self, ticks: Ticks<Self::Output>);
    #[doc(hidden)]
    fn tune(&mut self, tuning: Tuning);
    #[doc(hidden)]
    fn tuning(&self) -> Option<&Arc<Tuning>>;
    #[doc(hidden)]
    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken);
    #[doc(hidden)]
    fn own_token(self: Pin<&mut Self>) -> Option<ReplacedToken<'_>>;
    #[doc(hidden)]
    fn poll_call(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: &PollContext<'_>,
        value: &mut Poll<Self::Output>,
        failed: &mut Failure,
    ) -> Poll<RunEnded>;
}

impl<M, F, T, I> Runs for Call<M, F, T, I>
where
    M: BodyFactory<F>,
    F: Future,
    T: AsToken,
    I: RestartFilter<F::Output>,
{
    type Output = F::Output;

    fn spec(&self) -> &'static TaskSpec {
        Self::spec(self)
    }

    /// The name of the function: a closure in it makes the body.
    fn function() -> Option<&'static str> {
        function::of_body::<F>(2)
    }

    fn prepare(&mut self, prepared: Prepared) {
        Self::prepare(self, prepared);
    }

    fn set_ticks(&mut self, ticks: Ticks<F::Output>) {
        Self::set_ticks(self, ticks);
    }

    fn tune(&mut self, tuning: Tuning) {
        Self::tune(self, tuning);
    }

    fn tuning(&self) -> Option<&Arc<Tuning>> {
        Self::tuning(self)
    }

    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken) {
        Self::renew_token(self, from, to);
    }

    fn own_token(self: Pin<&mut Self>) -> Option<ReplacedToken<'_>> {
        Self::own_token(self)
    }

    #[inline]
    fn poll_call(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: &PollContext<'_>,
        value: &mut Poll<F::Output>,
        failed: &mut Failure,
    ) -> Poll<RunEnded> {
        self.poll_completion(cx, poll_context, value, failed)
    }
}

/// Makes a call that restarts; called by the expansion of the attribute.
pub fn supervise_restarting<M, F, T>(
    spec: &'static TaskSpec,
    token: T,
    output: Output<F::Output>,
    factory: M,
) -> Restarting<impl Runs<Output = F::Output>>
where
    M: BodyFactory<F>,
    F: Future,
    T: AsToken,
{
    Restarting {
        call: Call::new(spec, token, output.verdict, (), factory),
        from_task_error: output.from_task_error,
    }
}

/// Makes a call with `every` or `restart_if`; called by the expansion of the attribute.
pub fn supervise_recurring<M, F, T, I>(
    spec: &'static TaskSpec,
    token: T,
    recurring: Recurring<F::Output, I>,
    factory: M,
) -> Restarting<impl Runs<Output = F::Output>>
where
    M: BodyFactory<F>,
    F: Future,
    T: AsToken,
    I: RestartFilter<F::Output>,
{
    let Recurring { output, ticks, restart_if } = recurring;
    let mut call = Call::new(spec, token, output.verdict, restart_if, factory);
    if let Some(ticks) = ticks {
        call.set_ticks(ticks);
    }
    Restarting { call, from_task_error: output.from_task_error }
}

/// The return type of a function, and what decides about its runs besides its static policy.
pub struct Recurring<R, I = ()> {
    output: Output<R>,
    ticks: Option<Ticks<R>>,
    restart_if: I,
}

/// Of a function with neither.
pub fn recurring<R>(output: Output<R>) -> Recurring<R> {
    Recurring { output, ticks: None, restart_if: () }
}

/// `every = "30s"`: checks that a call can end between two runs.
pub fn every<R: PeriodicOutput>(recurring: Recurring<R>, interval: Duration) -> Recurring<R> {
    Recurring { ticks: Some(Ticks::new(interval, R::done)), ..recurring }
}

/// `restart_if = path`: checks that there is an error to filter, and the type of the path.
pub fn restart_if<R: FallibleOutput>(
    recurring: Recurring<R>,
    filter: fn(&R::Error) -> bool,
) -> Recurring<R, RestartIf<R>> {
    let Recurring { output, ticks, .. } = recurring;
    Recurring { output, ticks, restart_if: RestartIf::new(filter) }
}

impl<C: Runs> Future for Restarting<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let (mut value, mut failed) = (Poll::Pending, None);
        let this = self.project();
        _ = this.call.poll_call(cx, &PollContext::EMPTY, &mut value, &mut failed);
        if failed.is_some() {
            put_error(&mut value, &mut failed, *this.from_task_error);
        }
        value
    }
}

/// Converts the error of a run without a value into the function's return type.
#[cold]
#[inline(never)]
fn put_error<R>(value: &mut Poll<R>, failed: &mut Failure, from_task_error: fn(TaskError) -> R) {
    if let Some(failed) = failed.take() {
        *value = Poll::Ready(from_task_error(failed.error));
    }
}

impl<C: Runs> fmt::Debug for Restarting<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restarting").field("task", &self.call.spec().name()).finish_non_exhaustive()
    }
}

impl<C> Restarting<C>
where
    C: Runs,
    C::Output: SupervisedOutput,
{
    /// Converts the error: functions with different errors then fit into one group or `map`.
    ///
    /// ```
    /// # use tokio_supervised::{supervised, CancellationToken, Group};
    /// # use std::io;
    /// #[supervised(restart = "on-failure")]
    /// async fn read() -> io::Result<u32> { Ok(1) }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyhow::Result<()> {
    /// let group = Group::new(&CancellationToken::new());
    /// group.spawn(|token| read(token).err_into()).await;
    /// let numbers: anyhow::Result<Vec<u32>> = group.join().await;
    /// assert_eq!(numbers?, [1]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops this call, as described there.
    pub fn err_into<E>(self) -> ErrInto<Self, E>
    where
        E: From<<C::Output as SupervisedOutput>::Error>,
    {
        ErrInto::of(self)
    }
}

impl<C: Runs> Restarting<C> {
    /// Runs the body at once, then at each multiple of `interval` after the first poll: [`every`], with an interval that is
    /// known only at run time. It replaces that of the attribute.
    ///
    /// [`every`]: macro@crate::supervised#periodic-calls
    ///
    /// ```
    /// # use std::{sync::{Arc, atomic::{AtomicU32, Ordering}}, time::Duration};
    /// # use tokio_supervised::{supervised, CancellationToken, TaskError};
    /// #[supervised(every = "30s")]
    /// async fn refresh(token: CancellationToken, runs: Arc<AtomicU32>) -> Result<(), TaskError> {
    ///     if runs.fetch_add(1, Ordering::Relaxed) == 2 {
    ///         token.cancel();
    ///     }
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), TaskError> {
    /// let runs = Arc::new(AtomicU32::new(0));
    /// let period = Duration::from_millis(10);
    /// refresh(CancellationToken::new(), runs.clone()).interval(period).await?;
    /// assert_eq!(runs.load(Ordering::Relaxed), 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If `interval` is zero.
    ///
    /// # Cancel safety
    ///
    /// As that of the call.
    #[track_caller]
    pub fn interval(mut self, interval: Duration) -> Self
    where
        C::Output: PeriodicOutput,
    {
        assert!(!interval.is_zero(), "`interval` must be longer than 0");
        self.call.set_ticks(Ticks::new(interval, C::Output::done));
        self
    }
}

impl<C: Runs> Sealed for Restarting<C> {}

impl<C> SupervisedFuture for Restarting<C>
where
    C: Runs,
    C::Output: SupervisedOutput,
{
    type Value = <C::Output as SupervisedOutput>::Value;
    type Error = <C::Output as SupervisedOutput>::Error;

    fn spec(&self) -> &'static TaskSpec {
        self.call.spec()
    }

    fn prepare(&mut self, prepared: Prepared) {
        self.call.prepare(prepared);
    }

    fn tune(&mut self, tuning: Tuning) {
        self.call.tune(tuning);
    }

    fn tuning(&self) -> Option<&Arc<Tuning>> {
        self.call.tuning()
    }

    fn renew_token(&mut self, from: &CancellationToken, to: &CancellationToken) {
        self.call.renew_token(from, to);
    }

    fn own_token(self: Pin<&mut Self>) -> Option<ReplacedToken<'_>> {
        self.project().call.own_token()
    }

    fn poll_completion(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll_context: PollContext<'_>,
    ) -> Poll<TaskCompletion<Self::Value, Self::Error>> {
        let (mut value, mut failed) = (Poll::Pending, None);
        let poll_context = PollContext { now: None, ..poll_context };
        let call = self.project().call;
        let RunEnded { outcome, nanos } =
            ready!(call.poll_call(cx, &poll_context, &mut value, &mut failed));
        let overdue = is_overdue(&failed);
        let result = C::Output::into_result(result(value, failed));
        Poll::Ready(TaskCompletion { outcome, overdue, nanos, result })
    }

    #[inline]
    fn poll_value(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        value: &mut Poll<C::Output>,
        failed: &mut Failure,
    ) {
        _ = self.project().call.poll_call(cx, &PollContext::EMPTY, value, failed);
    }

    fn settle(result: Result<C::Output, TaskError>) -> Result<Self::Value, Self::Error> {
        C::Output::into_result(result)
    }

    fn error(error: TaskError) -> Self::Error {
        C::Output::error(error)
    }

    fn function() -> Option<&'static str> {
        C::function()
    }
}
