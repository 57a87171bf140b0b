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
//!
//! `context/shields.rs` is the run's side of it.

use std::{
    fmt,
    future::Future,
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
    context,
    context::shields::RunShields,
    context::stack::{StackEntry, with_entries},
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
/// When it is polled outside a tokio runtime that has its timer enabled, and when it is polled again after
/// it has ended.
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
        section: Some(section(token.clone())),
        token,
        scope: None,
        state: ShieldState::New,
        deadline: None,
        counted: Counted::default(),
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
        scope: Option<Arc<ScopeNode>>,
        state: ShieldState,
        #[pin]
        deadline: Option<Sleep>,
        #[pin]
        section: Option<F>,
        // After the section, whose drop it protects; dropped even if that panics.
        counted: Counted,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ShieldState {
    New,
    Protects,
    PastItsLimit,
}

impl<F: Future> Future for Shield<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if *this.state == ShieldState::New {
            if starts_too_late() {
                // The run sees that its body is pending, and drops it.
                return Poll::Pending;
            }
            ready!(budget::spend(cx));
            *this.state = ShieldState::Protects;
            let deadline = tokio::time::sleep(*this.limit);
            *this.scope = Some(context::shield_scope(deadline.deadline()));
            this.deadline.set(Some(deadline));
        }
        if *this.state == ShieldState::Protects {
            let deadline = this.deadline.as_mut().as_pin_mut();
            let mut deadline = deadline.expect("a shield that protects has a deadline");
            this.counted.count(deadline.deadline());
            // The section may have used up the budget, and the deadline must be checked anyway.
            if std::pin::pin!(unconstrained(deadline.as_mut())).poll(cx).is_ready() {
                *this.state = ShieldState::PastItsLimit;
                let fire = || quietly(|| this.token.cancel());
                match this.scope {
                    Some(scope) => scope.cancel(Cause::ShieldLimit, fire),
                    None => fire(),
                };
                this.counted.uncount();
            }
        }
        let polled = context::in_section(this.scope, || {
            let section = this.section.as_mut().as_pin_mut();
            section.expect("a shield was polled after completion").poll(cx)
        });
        if polled.is_ready() {
            this.section.set(None);
            this.counted.uncount();
        }
        polled
    }
}

impl<F> fmt::Debug for Shield<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shield").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Whether a run around it is ending, up to the section that this one is a part of.
fn starts_too_late() -> bool {
    with_entries(|entries| {
        let around = entries.iter().rev().map_while(|entry| match entry {
            StackEntry::Run { shields, .. } => Some(shields.as_ref()),
            // One with a deadline ends like a run.
            StackEntry::Section { scope: Some(scope), .. } => scope.shields().map(Some),
            StackEntry::Task { .. } | StackEntry::Section { .. } => None,
        });
        around.flatten().any(|shields| shields.is_ending_here())
    })
}

/// The runs and the sections with a deadline that count a shield, each with the deadline that it counts, until the shield ends.
#[derive(Default)]
struct Counted(Vec<(Arc<RunShields>, Instant)>);

impl Counted {
    /// Makes everything that polls this shield count it: it may have been moved into others.
    fn count(&mut self, deadline: Instant) {
        with_entries(|entries| {
            for entry in entries {
                let Some(shields) = entry.counted_shields() else { continue };
                if !self.0.iter().any(|(counting, _)| Arc::ptr_eq(counting, shields)) {
                    shields.add(deadline);
                    self.0.push((shields.clone(), deadline));
                }
            }
        });
    }

    fn uncount(&mut self) {
        for (shields, deadline) in self.0.drain(..) {
            shields.remove(deadline);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.uncount();
    }
}
