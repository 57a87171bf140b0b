//! A section that cancellation does not interrupt, with a deadline.
//!
//! Invariants, checked by `tests/spec/behaviour/shield.rs`
//!
//! 1. Every run that a pending shield is polled in counts it, once, until it has ended, was dropped or has
//!    passed its limit. A branch that is not polled for a while (`select!`, `FuturesUnordered`) counts on.
//! 2. When any of these happens first, the runs that must end are woken.
//! 3. A run that must end waits at most for the limits of the shields that it counts: a shield that is no longer polled
//!    cannot delay it further. (`shield_edges.rs`)
//! 4. A run that must end starts no further section, except inside a pending one: it ends right after that, even if its
//!    body would go from one section to the next. (`shield_edges.rs`)
//! 5. A section that is ready at its first poll has no timer, no scope and is counted nowhere: nothing else can run
//!    before that poll has returned. All three are made when the section is pending, with the start of its first poll as
//!    the start of its limit. Code inside that needs the scope makes it. (`shield_first_poll.rs`)
//!
//! `context/shields.rs` is the run's side of it.

use std::{
    fmt,
    future::Future,
    ops::ControlFlow::{Break, Continue},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    task::coop::unconstrained,
    time::{Instant, Sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    budget,
    cause::Cause,
    clock::Ticks,
    context,
    context::shields::RunShields,
    context::stack::{RunTimes, StackEntry, any_held_in_task, visit_entries},
    context::tree::ScopeNode,
    panic::quietly,
};

/// Runs a section that cancellation does not interrupt, for `limit` at the longest: for commits, flushes,
/// acknowledgements.
///
/// While the section is pending, the supervised runs around it are not dropped by their token, their timeout or their
/// grace. They end right after it, and start no further section: put work that belongs together into one section. The
/// section itself is ended by an abort, a `select!` branch that loses, a dropped owner, and the end of the process at
/// the grace of `#[supervised::main]`.
///
/// The section gets its own token, for the supervised calls inside. It fires when `limit` has passed since the first
/// poll. From then on the section is not protected, and the call still returns the section's result.
///
/// ```
/// use std::time::Duration;
/// use tokio_supervised::{CancellationToken, TaskError, shield, supervised};
///
/// #[supervised]
/// async fn commit(batch: Vec<u8>) -> Result<(), TaskError> {
/// #   _ = batch;
///     // … an exchange that must not stop halfway
///     Ok(())
/// }
///
/// #[supervised]
/// async fn store(batch: Vec<u8>) -> Result<(), TaskError> {
///     // … dropped here when its token fires, but not in here:
///     shield(Duration::from_secs(5), |token| commit(token, batch)).await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TaskError> {
/// store(&CancellationToken::new(), vec![1]).await?;
/// # Ok(())
/// # }
/// ```
///
/// Follows trio's shielded cancel scopes, which should always have a deadline. Here the deadline is mandatory.
///
/// # Panics
///
/// If it is polled again after it has ended. Outside a tokio runtime that has its timer enabled, if its section is pending or
/// its limit is zero.
///
/// # Cancel safety
///
/// A drop of the future drops the section at its current `.await`. Cancellation waits for the section; an explicit drop does
/// not.
pub fn shield<S, F>(limit: Duration, section: S) -> Shield<F>
where
    S: FnOnce(CancellationToken) -> F,
    F: Future,
{
    let token = CancellationToken::new();
    Shield {
        limit,
        state: ShieldState::New,
        section: Some(section(token.clone())),
        token,
        scope: None,
        protection: None,
    }
}

pin_project! {
    /// The future of [`shield`].
    ///
    /// # Cancel safety
    ///
    /// A drop of the future drops the section at its current `.await`: it delays cancellation, but not an explicit drop.
    #[must_use = "a shield does nothing until it is awaited"]
    pub struct Shield<F> {
        limit: Duration,
        token: CancellationToken,
        state: ShieldState,
        scope: Option<Arc<ScopeNode>>,
        #[pin]
        section: Option<F>,
        // After the section, whose drop it protects; dropped even if that panics.
        protection: Option<Pin<Box<Protection>>>,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ShieldState {
    New,
    /// Was not pending yet.
    FirstPoll(Ticks),
    Protects,
    PastItsLimit,
}

impl<F: Future> Future for Shield<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if *this.state == ShieldState::New {
            if any_held_in_task() && starts_too_late() {
                // The run sees that its body is pending, and drops it.
                return Poll::Pending;
            }
            ready!(budget::spend(cx));
            *this.state = ShieldState::FirstPoll(Ticks::now());
            if this.limit.is_zero() {
                // Its token fires before the section is polled.
                Protection::start(this.protection, this.state, this.scope, *this.limit);
            }
        }
        if let Some(protection) = this.protection {
            // The timer rounds up: one of now is not ready at once.
            if protection.as_mut().poll_deadline(cx).is_ready() || this.limit.is_zero() {
                *this.state = ShieldState::PastItsLimit;
                let fire = || quietly(|| this.token.cancel());
                match this.scope {
                    Some(scope) => scope.cancel(Cause::ShieldLimit, fire),
                    None => fire(),
                };
                *this.protection = None;
            }
        }
        let section = this.section.as_mut().as_pin_mut();
        let section = section.expect("a shield was polled after completion");
        let times = this.state.times(*this.limit);
        let polled = context::in_section(this.scope, times, || section.poll(cx));
        if polled.is_ready() {
            this.section.set(None);
            *this.protection = None;
        } else if times.is_some() {
            let protection =
                Protection::start(this.protection, this.state, this.scope, *this.limit);
            protection.as_mut().count();
            if protection.as_mut().poll_deadline(cx).is_ready() {
                // The next poll fires the token.
                cx.waker().wake_by_ref();
            }
        } else if let Some(protection) = this.protection {
            protection.as_mut().count();
        }
        polled
    }
}

impl<F> fmt::Debug for Shield<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shield").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl ShieldState {
    /// The times of a section that has no timer yet.
    fn times(self, limit: Duration) -> Option<RunTimes> {
        match self {
            Self::FirstPoll(since) => Some(RunTimes::of_shield(since, limit)),
            Self::New | Self::Protects | Self::PastItsLimit => None,
        }
    }
}

/// Whether a run around it is ending, up to the section that this one is a part of.
#[cold]
fn starts_too_late() -> bool {
    let found = visit_entries(|entry| {
        let shields = match &*entry {
            StackEntry::Run { shields, .. } => shields.as_ref(),
            StackEntry::Section { scope: Some(scope), .. } => match scope.shields() {
                // One with a deadline ends like a run.
                Some(shields) => Some(shields),
                None => return Break(false),
            },
            StackEntry::Task { .. } | StackEntry::Section { .. } => return Break(false),
        };
        if shields.is_some_and(|shields| shields.is_ending_here()) {
            Break(true)
        } else {
            Continue(())
        }
    });
    found == Break(true)
}

pin_project! {
    /// What protects a pending section until it has passed its limit.
    struct Protection {
        #[pin]
        deadline: Sleep,
        counted: Counted,
    }
}

impl Protection {
    /// Starts the timer of a section that is pending for the first time, and makes its scope unless the section has.
    #[inline(never)]
    fn start<'a>(
        place: &'a mut Option<Pin<Box<Self>>>,
        state: &mut ShieldState,
        scope: &mut Option<Arc<ScopeNode>>,
        limit: Duration,
    ) -> &'a mut Pin<Box<Self>> {
        let deadline = match scope {
            Some(scope) => scope.deadline(),
            None => {
                let deadline = state.times(limit).and_then(|times| times.deadline(None));
                *scope = Some(context::shield_scope(deadline));
                deadline
            }
        };
        let deadline = deadline.map_or_else(|| tokio::time::sleep(limit), tokio::time::sleep_until);
        *state = ShieldState::Protects;
        let counted = Counted { deadline: deadline.deadline(), first: None, more: Vec::new() };
        place.insert(Box::pin(Self { deadline, counted }))
    }

    /// Waits for the limit, also if the section has used up the budget.
    fn poll_deadline(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        std::pin::pin!(unconstrained(self.project().deadline)).poll(cx)
    }

    /// Makes everything that polls this shield count it: it may have been moved into others.
    #[inline(never)]
    fn count(self: Pin<&mut Self>) {
        let counted = self.project().counted;
        _ = visit_entries(|entry| {
            if let Some(shields) = entry.counted_shields() {
                counted.add(shields);
            }
            Continue::<()>(())
        });
    }
}

/// The runs and the sections with a deadline that count a shield, until it ends.
struct Counted {
    deadline: Instant,
    // Apart: most shields are in one run.
    first: Option<Arc<RunShields>>,
    more: Vec<Arc<RunShields>>,
}

impl Counted {
    fn by(&self) -> impl Iterator<Item = &Arc<RunShields>> {
        self.first.iter().chain(&self.more)
    }

    fn add(&mut self, shields: &Arc<RunShields>) {
        if self.by().any(|counting| Arc::ptr_eq(counting, shields)) {
            return;
        }
        shields.add(self.deadline);
        match &mut self.first {
            None => self.first = Some(shields.clone()),
            Some(_) => self.more.push(shields.clone()),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        for shields in self.by() {
            shields.remove(self.deadline);
        }
    }
}
