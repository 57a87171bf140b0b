//! One run of a supervised function: permit, token, body, outcome.
//!
//! Invariants
//!
//! 1. Every poll looks at the token before the body. A token that had fired before the first poll never
//!    starts the body: the call wakes itself, returns `Pending` once, then ends `cancelled`.
//! 2. The body, its drop, and the drop of its output run under [`panic::catch`].
//! 3. Each run that was counted as started is counted as ended once, whichever way it ends; its permit is
//!    given back after that, and before whoever awaits it goes on.
//! 4. The token is watched only while the run is really pending, for a permit or in its body, and then
//!    always, until it has fired: by the run itself, or by the alarm of its scope.
//! 5. A run whose body is to be dropped, and in which a shield is pending, is overdue: it ends when the last
//!    shield does, or its body by itself.
//!
//! `tests/behaviour/` checks 1 in `cancel.rs`, 2 in `panics.rs`, 3 in `limit.rs`, 4 in `cancel.rs`, 5 in
//! `shield.rs`.

pub(crate) mod alarm;
mod backoff;
mod call;
mod end;
mod first;
pub(crate) mod frame;
pub(crate) mod itself;
mod kept;
pub(crate) mod output;
mod poll;
mod restarting;
pub(crate) mod row;
pub(crate) mod scope;
pub(crate) mod shield;
mod supervised;

pub use kept::{Anew, ClonedForEachRun, Kept, kept};
pub use restarting::{Restarting, Runs, supervise_restarting};
pub(crate) use supervised::{Ended, Prepared};
pub use supervised::{ErrInto, Supervised, SupervisedFuture, supervise, supervise_foreign};

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{AsToken, Outcome, TaskError, clock::Ticks, limit::Permit, spec::TaskSpec};
use alarm::Alarm;
use frame::Frame;
use output::Verdict;

/// What the task that polls a run knows already.
#[derive(Clone, Copy, Default)]
pub struct Around<'a> {
    /// Wakes the task when its token fires: a run with the same token need not watch it.
    pub(crate) alarm: Option<&'a Alarm>,
    /// The clock, where it was read just now.
    pub(crate) now: Option<Ticks>,
}

/// How a run ended, and what it gave: its value, or what the boundary has to say.
pub(crate) struct Settled<R> {
    pub(crate) outcome: Outcome,
    /// It had not ended within its grace, and was dropped.
    pub(crate) overdue: bool,
    /// How long the body took; 0 where it was not reached.
    pub(crate) nanos: u64,
    pub(crate) result: Result<R, TaskError>,
}

pin_project! {
    /// The run, with its body inline.
    #[project = Projected]
    pub(crate) struct Run<F, T>
    where
        F: Future,
        T: AsToken,
    {
        spec: &'static TaskSpec,
        // There until it is taken back, when the run has ended.
        token: Option<T>,
        verdict: fn(&F::Output) -> Verdict,
        stage: Stage,
        // Of the wait while it waits, of the run while it runs.
        since: Ticks,
        permit: Option<Permit>,
        // Boxed, since most runs have no use for it: it is neither made nor looked through nor moved there.
        more: Option<Pin<Box<More>>>,
        #[pin]
        body: Option<F>,
    }

    impl<F, T> PinnedDrop for Run<F, T>
    where
        F: Future,
        T: AsToken,
    {
        fn drop(this: Pin<&mut Self>) {
            if this.stage != Stage::Done {
                this.project().abandon();
            }
        }
    }
}

pin_project! {
    /// What a run needs that is pending, was spawned with a grace, or whose frame others know.
    #[project = MoreProjected]
    #[derive(Default)]
    struct More {
        stop: Stop,
        longest_grace: Grace,
        aside: Option<Pin<Box<Aside>>>,
        frame: Option<Arc<Frame>>,
        // Where no alarm is for its token.
        #[pin]
        watch: Option<WaitForCancellationFutureOwned>,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    /// In a task of its own, which has not been polled: a run, if it is dropped now.
    Spawned,
    /// The token had fired before the first poll.
    Refused,
    /// For a permit.
    Waiting,
    Running,
    Done,
}

/// What has been asked of a running body.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stop {
    /// Nothing yet.
    #[default]
    No,
    /// To end by itself: its token has fired.
    Asked,
    /// The same, and the timer counts its grace.
    Within(Grace),
    /// To be dropped, as soon as no shield holds it.
    Overdue(Overdue),
}

/// What a body is to be dropped for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overdue {
    Cancelled,
    GraceSpent(Grace),
    TimedOut,
}

/// Milliseconds, small enough for every run to carry; one beyond 49 days is as good as none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Grace(u32);

impl Grace {
    const NONE: Self = Self(u32::MAX);

    fn of(grace: Option<Duration>) -> Self {
        let millis = grace.map(|grace| u32::try_from(grace.as_millis()));
        millis.map_or(Self::NONE, |millis| millis.map_or(Self::NONE, Self))
    }
}

impl Default for Grace {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<Grace> for Duration {
    fn from(Grace(millis): Grace) -> Self {
        Self::from_millis(millis.into())
    }
}

pin_project! {
    /// What a pending run needs besides its token; boxed, since most runs never do.
    #[project = AsideProjected]
    enum Aside {
        Permit { wait: WaitForPermit },
        /// The end of the timeout, of the grace, or of the last shield.
        Timer { #[pin] sleep: Sleep },
    }
}

type WaitForPermit = Pin<Box<dyn Future<Output = Permit> + Send>>;

impl<F: Future, T: AsToken> Run<F, T> {
    pub(crate) fn new(
        spec: &'static TaskSpec,
        token: T,
        verdict: fn(&F::Output) -> Verdict,
        body: F,
    ) -> Self {
        Self {
            spec,
            token: Some(token),
            verdict,
            stage: Stage::New,
            since: Ticks::NEVER,
            permit: None,
            more: None,
            body: Some(body),
        }
    }

    pub(crate) fn spec(&self) -> &'static TaskSpec {
        self.spec
    }

    /// Whether the body has been polled.
    fn has_begun(&self) -> bool {
        !matches!(self.stage, Stage::New | Stage::Spawned | Stage::Refused | Stage::Waiting)
    }

    /// Hands over a permit that was acquired for this run, and what its scope allows as grace: it is about
    /// to be spawned.
    pub(crate) fn prepare(&mut self, permit: Option<Permit>, longest_grace: Option<Duration>) {
        self.stage = Stage::Spawned;
        self.permit = permit;
        if longest_grace.is_some() {
            let longest_grace = Grace::of(longest_grace);
            self.more = Some(Box::pin(More { longest_grace, ..More::default() }));
        }
    }

    /// The token that was given to a run that has ended.
    pub(crate) fn take_back_token(self: Pin<&mut Self>) -> Option<CancellationToken> {
        self.project().token.take().and_then(AsToken::into_given)
    }

    pub(crate) fn poll_settled(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        around: Around<'_>,
    ) -> Poll<Settled<F::Output>> {
        self.poll_told(cx, around, |settled| settled)
    }

    /// The same, for who makes something else of it at once.
    #[inline]
    pub(crate) fn poll_told<R>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        around: Around<'_>,
        told: impl FnOnce(Settled<F::Output>) -> R,
    ) -> Poll<R> {
        match self.stage {
            Stage::New | Stage::Spawned => self.poll_first(cx, around, told),
            _ => self.poll_again(cx, around.alarm).map(told),
        }
    }

    fn poll_again(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        alarm: Option<&Alarm>,
    ) -> Poll<Settled<F::Output>> {
        let mut this = self.project();
        match this.stage {
            Stage::New | Stage::Spawned => unreachable!("polled for the first time elsewhere"),
            Stage::Refused => Poll::Ready(this.end_cancelled()),
            Stage::Waiting => this.poll_waiting(cx, alarm),
            Stage::Running => this.poll_running(cx, alarm),
            Stage::Done => panic!("a supervised future was polled after it had ended"),
        }
    }
}
