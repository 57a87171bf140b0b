//! A section with a deadline, which it can see coming.
//!
//! Invariants, checked by `tests/spec/behaviour/within.rs`
//!
//! 1. The token of the section fires at the deadline at the latest, with [`Cause::Deadline`].
//! 2. Once its token has fired, the section has the grace of the run around it, and is then dropped; if it counts a
//!    pending shield, after that. So the future ends however the section behaves.
//! 3. The section is polled once more after its token has fired: it may end by itself.
//! 4. A section that is ready at its first poll has no timer, and does not watch its token: both start when it is pending.
//!    One whose token has fired before, or whose time is up, starts with a token that has fired.

use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    task::coop::unconstrained,
    time::{Instant, Sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    budget,
    cause::Cause,
    context::{self, reason::CancelEpoch, shields::RunShields, tree::ScopeNode},
    error::{Cancelled, Origin, TaskError, TimedOut},
    panic::quietly,
    run::output::SupervisedOutput,
};

/// Runs a section of a body with a deadline.
///
/// The section gets a child of `token`, for the supervised calls inside. It fires `limit` after the first poll, with
/// [`Cause::Deadline`]: the calls inside end as cancelled, and the section returns by itself. Of nested deadlines the
/// nearest one counts. [`remaining()`](crate::remaining()) returns what is left of it.
///
/// A section that goes on after its token has fired has the grace of the function around it (20 s if there is none). It
/// is then dropped, and the result is [`TimedOut`], or [`Cancelled`] if `token` fired before the deadline. A pending
/// [`shield()`](crate::shield()) inside it delays the drop. Unlike `tokio::time::timeout`, which drops its future at
/// once, this lets the section save what it has.
///
/// The section returns what a supervised function can return: `()`, or `Result<T, E>` with `E: From<TaskError>`.
///
/// ```
/// use std::time::Duration;
/// use tokio_supervised::{CancellationToken, TaskError, supervised, within};
///
/// #[supervised]
/// async fn fetch(url: &str) -> Result<String, TaskError> {
/// #   if url == "/slow" { std::future::pending::<()>().await; }
///     Ok(format!("the page at {url}"))
/// }
///
/// /// As many pages as come within the time.
/// #[supervised]
/// async fn pages(token: &CancellationToken) -> Result<Vec<String>, TaskError> {
///     let limit = Duration::from_millis(50);
///     within(token, limit, async move |token| {
///         let mut pages = Vec::new();
///         for url in ["/a", "/b", "/slow", "/c"] {
///             match fetch(&token, url).await {
///                 Ok(page) => pages.push(page),
///                 Err(TaskError::Cancelled(_)) => break,
///                 Err(error) => return Err(error),
///             }
///         }
///         Ok(pages)
///     })
///     .await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TaskError> {
/// let token = CancellationToken::new();
/// assert_eq!(pages(&token).await?, ["the page at /a", "the page at /b"]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// That of the section; [`TimedOut`] or [`Cancelled`] if it had to be dropped.
///
/// # Panics
///
/// If it is polled again after it has ended. Outside a tokio runtime that has its timer enabled, if it is pending, or if its
/// token has fired or its time is up before it starts. A panic of the section passes through.
///
/// # Cancel safety
///
/// A drop of the future drops the section at its current `.await`.
#[track_caller]
pub fn within<S, F>(token: &CancellationToken, limit: Duration, section: S) -> Within<F>
where
    S: FnOnce(CancellationToken) -> F,
    F: Future<Output: SupervisedOutput>,
{
    let token = token.child_token();
    Within {
        limit,
        place: Location::caller(),
        section: Some(section(token.clone())),
        watch: None,
        uncancelled: CancelEpoch::NEVER,
        token,
        scope: None,
        shields: Arc::default(),
        state: WithinState::New,
        timer: None,
    }
}

/// Returns what is left of the nearest deadline around the current code; `None` if there is none.
///
/// A deadline is that of a [`within()`], the `timeout` of a supervised function or call, or, inside a
/// [`shield()`](crate::shield()), the limit of that alone. Deadlines apply to the tasks of a group and the runs of a
/// [`map`](crate::map()) that were made inside, but not to a pool's tasks, which outlive their caller. Once the deadline
/// has passed, it returns 0.
///
/// ```
/// # use std::time::Duration;
/// # use tokio_supervised::{CancellationToken, TaskError, remaining, supervised};
/// #[supervised(timeout = "10s")]
/// async fn query() -> Result<Option<Duration>, TaskError> {
///     // … a header that says how long the server may try …
///     Ok(remaining())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TaskError> {
/// let left = query(&CancellationToken::new()).await?;
/// assert!(left.is_some_and(|left| left <= Duration::from_secs(10)));
/// assert_eq!(remaining(), None);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn remaining() -> Option<Duration> {
    let deadline = context::deadline()?;
    Some(deadline.saturating_duration_since(Instant::now()))
}

pin_project! {
    /// The future of [`within`].
    ///
    /// # Cancel safety
    ///
    /// A drop of the future drops the section at its current `.await`.
    #[must_use = "a section does nothing until it is awaited"]
    pub struct Within<F> {
        limit: Duration,
        place: &'static Location<'static>,
        token: CancellationToken,
        // When the token was last known not to have fired.
        uncancelled: CancelEpoch,
        scope: Option<Arc<ScopeNode>>,
        // Those that the section counts: it is not dropped while one is pending.
        shields: Arc<RunShields>,
        state: WithinState,
        // The deadline, then the end of the grace, then that of the last shield.
        #[pin]
        timer: Option<Sleep>,
        // From the first time that the section is pending until the token has fired.
        #[pin]
        watch: Option<WaitForCancellationFutureOwned>,
        #[pin]
        section: Option<F>,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WithinState {
    New,
    /// Until its token fires.
    Runs,
    /// Its token has fired, and it has not ended.
    Stopping(Fired),
    /// Its grace is spent.
    Overdue(Fired),
}

/// Why the token of the section has fired.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fired {
    Deadline { after: Duration },
    Token,
}

impl<F: Future<Output: SupervisedOutput>> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let starts = self.state == WithinState::New;
        if starts {
            ready!(budget::spend(cx));
            self.as_mut().start();
        }
        if !starts || self.as_mut().is_over() {
            self.as_mut().poll_fired(cx);
        }
        let mut this = self.as_mut().project();
        let polled = context::in_section(this.scope, None, || {
            let section = this.section.as_mut().as_pin_mut();
            section.expect("a section was polled after it had ended").poll(cx)
        });
        if polled.is_ready() {
            this.section.set(None);
            return polled;
        }
        if starts && self.state == WithinState::Runs {
            self.as_mut().poll_fired(cx);
            if self.state != WithinState::Runs {
                // It fired in the first poll: invariant 3.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        self.poll_grace(cx).map(F::Output::from_task_error)
    }
}

impl<F> Within<F> {
    fn start(self: Pin<&mut Self>) {
        let this = self.project();
        let now = Instant::now();
        let own = now.checked_add(*this.limit);
        let outer = context::section_deadline();
        let deadline = own.into_iter().chain(outer).min();
        *this.scope = Some(context::deadline_scope(deadline, this.shields));
        if let Some(deadline) = deadline {
            *this.limit = deadline.saturating_duration_since(now);
        }
        *this.state = WithinState::Runs;
    }

    /// Whether the token has fired, or is to fire, before the section starts.
    fn is_over(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        let epoch = CancelEpoch::now();
        if this.token.is_cancelled() {
            return true;
        }
        *this.uncancelled = epoch;
        this.limit.is_zero()
    }

    /// Fires the token at the deadline. Once it has fired, the grace starts.
    fn poll_fired(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        if *this.state != WithinState::Runs {
            return;
        }
        if this.watch.is_none() {
            this.watch.set(Some(this.token.clone().cancelled_owned()));
            let deadline = this.scope.as_ref().and_then(|scope| scope.deadline());
            this.timer.set(deadline.map(tokio::time::sleep_until));
        }
        let epoch = CancelEpoch::now();
        let watch = this.watch.as_mut().as_pin_mut().expect("set above");
        // The section may have spent the budget.
        let fired = if pin!(unconstrained(watch)).poll(cx).is_ready() {
            Fired::Token
        } else {
            *this.uncancelled = epoch;
            let Some(timer) = this.timer.as_mut().as_pin_mut() else { return };
            let is_due = pin!(unconstrained(timer)).poll(cx).is_ready();
            // The timer rounds up: one of now is not ready at once.
            if !is_due && !this.limit.is_zero() {
                return;
            }
            let fire = || quietly(|| this.token.cancel());
            match this.scope {
                Some(scope) => scope.cancel(Cause::Deadline, fire),
                None => fire(),
            };
            Fired::Deadline { after: *this.limit }
        };
        this.watch.set(None);
        *this.state = WithinState::Stopping(fired);
        let end = context::current_grace().and_then(|grace| Instant::now().checked_add(grace));
        this.timer.set(end.map(tokio::time::sleep_until));
    }

    /// Drops the section if its grace is spent, and returns the error.
    fn poll_grace(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TaskError> {
        let mut this = self.project();
        let fired = loop {
            match *this.state {
                WithinState::New | WithinState::Runs => return Poll::Pending,
                WithinState::Stopping(fired) => {
                    let Some(timer) = this.timer.as_mut().as_pin_mut() else {
                        return Poll::Pending;
                    };
                    ready!(pin!(unconstrained(timer)).poll(cx));
                    this.shields.mark_ending();
                    *this.state = WithinState::Overdue(fired);
                }
                WithinState::Overdue(fired) => {
                    let Some(until) = this.shields.until_or_wake(cx.waker()) else { break fired };
                    this.timer.set(Some(tokio::time::sleep_until(until)));
                    let timer = this.timer.as_mut().as_pin_mut().expect("set above");
                    ready!(pin!(unconstrained(timer)).poll(cx));
                }
            }
        };
        let task = context::current_run();
        let task = Origin::of_section(task.map(|spec| spec.name()), this.place);
        let error = match fired {
            Fired::Deadline { after } => TaskError::TimedOut(TimedOut::new(task, after)),
            Fired::Token => {
                let cause = context::cause(*this.uncancelled);
                TaskError::Cancelled(Cancelled::new(task, cause))
            }
        };
        this.section.set(None);
        Poll::Ready(error)
    }
}

impl<F> fmt::Debug for Within<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within").field("limit", &self.limit).finish_non_exhaustive()
    }
}
