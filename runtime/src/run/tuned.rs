//! The options of one call: `.timeout(d)`, `.grace(d)`, `.label(text)`, and `.boxed()`.
//!
//! The options are in the call's own state, so that a type without options does not grow. [`Tuned`] says by its type
//! that there may be some: for other types, scopes read neither a label nor a grace.

use std::{
    fmt::{self, Display},
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;

use crate::{
    error::TaskError,
    function::TaskSpec,
    run::body::Failure,
    run::boxed::BoxedTask,
    run::future::{
        ErrInto, Prepared, Supervised, SupervisedFuture, TaskCompletion, sealed::Sealed,
    },
    run::machine::PollContext,
    run::output::SupervisedOutput,
    run::restart::{Restarting, Runs},
    token::AsToken,
    token::ReplacedToken,
    tuning::{Label, Tuning},
};

pin_project! {
    /// A supervised future with options for this call: see [`Supervised::timeout`], [`Supervised::grace`] and
    /// [`Supervised::label`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call inside, as described there.
    #[must_use = "a supervised call does nothing until it is awaited or spawned"]
    pub struct Tuned<S> {
        #[pin]
        call: S,
    }
}

impl<S: SupervisedFuture> Tuned<S> {
    fn new(mut call: S, tuning: Tuning) -> Self {
        call.tune(tuning);
        Self { call }
    }
}

fn timeout_of(limit: Duration) -> Tuning {
    Tuning { timeout: Some(limit), ..Tuning::default() }
}

fn grace_of(grace: Duration) -> Tuning {
    Tuning { grace: Some(grace), ..Tuning::default() }
}

fn label_of(text: impl Display) -> Tuning {
    Tuning { label: Some(Label::new(text)), ..Tuning::default() }
}

impl<F, T> Supervised<F, T>
where
    F: Future,
    F::Output: SupervisedOutput,
    T: AsToken,
{
    /// Limits how long the body of this call may take, instead of the `timeout` of its function.
    ///
    /// The time starts with the body: a wait for a permit is not part of it. If it passes, the call returns
    /// [`TimedOut`](crate::TimedOut). A limit of 0 polls the body once. A call that restarts has the limit for each run.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tokio_supervised::{supervised, CancellationToken, TaskError};
    /// #[supervised(timeout = "10s")]
    /// async fn fetch(url: &str) -> Result<String, TaskError> {
    /// #   tokio::time::sleep(Duration::from_millis(20)).await;
    ///     Ok(format!("the page at {url}"))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let token = CancellationToken::new();
    /// let error = fetch(&token, "/").timeout(Duration::from_millis(1)).await.unwrap_err();
    /// assert!(matches!(error, TaskError::TimedOut(_)));
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops this call, as described there.
    pub fn timeout(self, limit: Duration) -> Tuned<Self> {
        Tuned::new(self, timeout_of(limit))
    }

    /// Sets how long the body of this call may continue after its token has fired, instead of the `grace` of its
    /// function.
    ///
    /// Only a body that takes the token has a grace: another one is dropped at its next `.await`. With a grace of 0 the
    /// body is polled once more. A group with a [`grace`](crate::Group::grace) can shorten it. A call that restarts has
    /// the grace for each run. It is measured in milliseconds.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tokio_supervised::{supervised, CancellationToken, TaskError};
    /// #[supervised]
    /// async fn consume(token: &CancellationToken) -> Result<(), TaskError> {
    ///     token.cancelled().await;
    ///     // … the last messages
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), TaskError> {
    /// let token = CancellationToken::new();
    /// # let fires = async { token.cancel(); };
    /// # let consumed = async {
    /// consume(&token).grace(Duration::from_secs(2)).await
    /// # };
    /// # tokio::join!(consumed, fires).0
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops this call, as described there.
    pub fn grace(self, grace: Duration) -> Tuned<Self> {
        Tuned::new(self, grace_of(grace))
    }

    /// Adds a text that distinguishes this call from others of its function: a peer, a key, a file.
    ///
    /// It is shown behind the name, in errors and events ("task `connection` [10.0.0.7:5123] timed out after 5s"), in
    /// [`tasks()`](crate::tasks()) ([`LiveTask::label`](crate::LiveTask::label)) and all reports of live tasks, and as
    /// `task.label` in the span of a spawned task (a [`map`](crate::map()) has a span for each worker, without labels).
    /// Metrics do not have it: their number of series must be bounded.
    ///
    /// `text` is formatted at once. The first 128 bytes are kept, and control characters are escaped.
    ///
    /// ```
    /// # use tokio_supervised::{supervised, CancellationToken, TaskError};
    /// #[supervised]
    /// async fn connection(port: u16) -> Result<(), TaskError> {
    ///     panic!("no one listens");
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let token = CancellationToken::new();
    /// let error = connection(&token, 80).label("10.0.0.7:80").await.unwrap_err();
    /// assert!(error.to_string().starts_with("task `connection` [10.0.0.7:80] panicked"));
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the `Display` of `text` panics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops this call, as described there.
    pub fn label(self, text: impl Display) -> Tuned<Self> {
        Tuned::new(self, label_of(text))
    }

    /// Moves the call into a `Box`: calls of different functions then have one type, and so has a function that calls
    /// itself.
    ///
    /// A function that returns a [`BoxedTask`] is a plain one, and can be called by the supervised function that it
    /// calls:
    ///
    /// ```
    /// # use tokio_supervised::{supervised, BoxedTask, CancellationToken, TaskError};
    /// fn depth(token: CancellationToken, path: String) -> BoxedTask<usize, TaskError> {
    ///     walk(token, path).boxed()
    /// }
    ///
    /// #[supervised]
    /// async fn walk(token: CancellationToken, path: String) -> Result<usize, TaskError> {
    ///     match path.split_once('/') {
    ///         None => Ok(1),
    ///         Some((_, below)) => Ok(1 + depth(token, below.to_owned()).await?),
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), TaskError> {
    /// assert_eq!(depth(CancellationToken::new(), "a/b/c".to_owned()).await?, 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops this call, as described there.
    pub fn boxed(
        self,
    ) -> BoxedTask<<F::Output as SupervisedOutput>::Value, <F::Output as SupervisedOutput>::Error>
    where
        Self: Send + 'static,
    {
        BoxedTask::new(self)
    }
}

/// The same methods, which link to those of [`Supervised`].
macro_rules! options {
    () => {
        /// Limits how long the body of this call may take: see [`Supervised::timeout`].
        ///
        /// # Cancel safety
        ///
        /// Dropping the future drops this call, as described there.
        pub fn timeout(self, limit: Duration) -> Tuned<Self> {
            Tuned::new(self, timeout_of(limit))
        }

        /// Sets how long the body of this call may continue after its token has fired: see [`Supervised::grace`].
        ///
        /// # Cancel safety
        ///
        /// Dropping the future drops this call, as described there.
        pub fn grace(self, grace: Duration) -> Tuned<Self> {
            Tuned::new(self, grace_of(grace))
        }

        /// Adds a text that distinguishes this call from others of its function: see [`Supervised::label`].
        ///
        /// # Panics
        ///
        /// If the `Display` of `text` panics.
        ///
        /// # Cancel safety
        ///
        /// Dropping the future drops this call, as described there.
        pub fn label(self, text: impl Display) -> Tuned<Self> {
            Tuned::new(self, label_of(text))
        }
    };
}

impl<C> Restarting<C>
where
    C: Runs,
    C::Output: SupervisedOutput,
{
    options!();

    /// Moves the call into a `Box`: see [`Supervised::boxed`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops this call, as described there.
    pub fn boxed(
        self,
    ) -> BoxedTask<<C::Output as SupervisedOutput>::Value, <C::Output as SupervisedOutput>::Error>
    where
        Self: Send + 'static,
    {
        BoxedTask::new(self)
    }
}

impl<S, E> ErrInto<S, E>
where
    S: SupervisedFuture,
    E: From<S::Error>,
{
    options!();

    /// Moves the call into a `Box`: see [`Supervised::boxed`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops this call, as described there.
    pub fn boxed(self) -> BoxedTask<S::Value, E>
    where
        Self: Send + 'static,
        E: From<TaskError>,
    {
        BoxedTask::new(self)
    }
}

impl<T, E: From<TaskError>> BoxedTask<T, E> {
    options!();

    /// Converts the error: see [`Supervised::err_into`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops this call, as described there.
    pub fn err_into<E2>(self) -> ErrInto<Self, E2>
    where
        E2: From<E>,
    {
        ErrInto::of(self)
    }
}

impl<S: SupervisedFuture> Tuned<S> {
    /// Limits how long the body of this call may take: see [`Supervised::timeout`]. The last limit counts.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops this call, as described there.
    pub fn timeout(self, limit: Duration) -> Self {
        Self::new(self.call, timeout_of(limit))
    }

    /// Sets how long the body of this call may continue after its token has fired: see [`Supervised::grace`]. The last
    /// grace counts.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops this call, as described there.
    pub fn grace(self, grace: Duration) -> Self {
        Self::new(self.call, grace_of(grace))
    }

    /// Replaces the text that distinguishes this call from others of its function: see [`Supervised::label`].
    ///
    /// # Panics
    ///
    /// If the `Display` of `text` panics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops this call, as described there.
    pub fn label(self, text: impl Display) -> Self {
        Self::new(self.call, label_of(text))
    }

    /// Converts the error: see [`Supervised::err_into`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops this call, as described there.
    pub fn err_into<E>(self) -> ErrInto<Self, E>
    where
        E: From<S::Error>,
    {
        ErrInto::of(self)
    }

    /// Moves the call into a `Box`: see [`Supervised::boxed`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops this call, as described there.
    pub fn boxed(self) -> BoxedTask<S::Value, S::Error>
    where
        Self: Send + 'static,
        S::Error: From<TaskError>,
    {
        BoxedTask::new(self)
    }
}

impl<S: SupervisedFuture> fmt::Debug for Tuned<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = self.call.tuning().and_then(|tuning| tuning.label.as_ref());
        f.debug_struct("Tuned")
            .field("task", &self.call.spec().name())
            .field("label", &label.map(Label::as_str))
            .finish_non_exhaustive()
    }
}

impl<S: Future> Future for Tuned<S> {
    type Output = S::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<S::Output> {
        self.project().call.poll(cx)
    }
}

impl<S> Sealed for Tuned<S> {}

impl<S: SupervisedFuture> SupervisedFuture for Tuned<S> {
    type Value = S::Value;
    type Error = S::Error;

    const MAY_BE_TUNED: bool = true;

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
    ) -> Poll<TaskCompletion<S::Value, S::Error>> {
        self.project().call.poll_completion(cx, poll_context)
    }

    fn poll_value(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        value: &mut Poll<S::Output>,
        failed: &mut Failure,
    ) {
        self.project().call.poll_value(cx, value, failed);
    }

    fn settle(result: Result<S::Output, TaskError>) -> Result<S::Value, S::Error> {
        S::settle(result)
    }

    fn error(error: TaskError) -> S::Error {
        S::error(error)
    }

    fn function() -> Option<&'static str> {
        S::function()
    }

    fn take_back_token(self: Pin<&mut Self>) -> Option<CancellationToken> {
        self.project().call.take_back_token()
    }
}
