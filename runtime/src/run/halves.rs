//! The poll of a call in two halves, and its body between them, in a build without optimization.
//!
//! There each function has a frame of its own, and a poll of a run has many of them: a function that calls itself would
//! overflow the stack of a worker at a fifth of the depth of a plain one. Between the halves lie the frames of
//! `catch_unwind` and one of [`Supervised`]. An optimized build makes one function of most of a poll, and the halves
//! would cost it a quarter more instructions: there is one way to poll a run in each build. `tests/composition/depth.rs`
//! measures the stack; what is spawned is polled at once in both builds.

use std::{
    any::Any,
    future::Future,
    mem::ManuallyDrop,
    panic::UnwindSafe,
    pin::Pin,
    task::{Context, Poll},
};

use super::{
    Around, Run, Supervised,
    body::{Body, InPlace, OnError},
    core::Core,
    frame::Pushed,
    lent,
    output::Verdict,
    step::{Go, Here, Step},
};
use crate::{AsToken, CancellationToken, TaskError, panic};

/// A call that is awaited where it is made, lent for one poll.
pub(super) struct Call<'a, 'c, F: Future> {
    lent: Lent<'a>,
    body: InPlace<'a, F>,
    cx: &'a mut Context<'c>,
}

/// A run but its body, lent for the two halves of a poll.
struct Lent<'a> {
    core: &'a mut Core,
    token: &'a CancellationToken,
    entered: Option<Entered>,
}

/// A run whose body is to be polled now, on the stack of runs and within the boundary for panics.
struct Entered {
    here: Here,
    pushed: Pushed,
    /// Without a drop, which would take room on the stack: it is always taken out again.
    outer: ManuallyDrop<panic::Outer>,
}

/// What a poll of the body comes to, caught.
pub(super) type Polled = Result<Option<Verdict>, Box<dyn Any + Send>>;

/// The first half of the poll, for a call that is awaited where it is made: all before its body. The caller polls the
/// body, so that little else is on the stack meanwhile: a function may call itself. False if the poll is over.
fn enter(lent: &mut Lent<'_>, body: &mut dyn Body, cx: &mut Context<'_>) -> bool {
    let mut step = Step { core: lent.core, token: lent.token, body };
    let here = match step.go(cx, &Around::ALONE) {
        Go::Continue(here) => here,
        Go::Break(_) => return false,
    };
    let pushed = step.enter();
    lent.entered = Some(Entered { here, pushed, outer: ManuallyDrop::new(panic::enter()) });
    true
}

/// The second half: all after the body.
fn leave(lent: &mut Lent<'_>, body: &mut dyn Body, cx: &mut Context<'_>, polled: Polled) {
    let entered = lent.entered.take().expect("a run whose body was polled has entered");
    let Entered { here, pushed, outer } = entered;
    let outer = ManuallyDrop::into_inner(outer);
    let polled = match polled {
        Ok(verdict) => {
            panic::leave(outer);
            Ok(verdict)
        }
        Err(payload) => Err(panic::caught(payload, outer)),
    };
    let mut step = Step { core: lent.core, token: lent.token, body };
    step.leave(pushed);
    _ = step.polled(polled, here, cx, None);
}

impl<F: Future, T: AsToken> Run<F, T> {
    /// Lends all of the run for one poll, as a call that is awaited where it is made.
    fn lend_call<'a, 'c>(
        self: Pin<&'a mut Self>,
        cx: &'a mut Context<'c>,
        value: &'a mut Poll<F::Output>,
        from_task_error: fn(TaskError) -> F::Output,
    ) -> Call<'a, 'c, F> {
        let this = self.project();
        let on_error = OnError::Convert(from_task_error);
        Call {
            lent: Lent { core: this.core, token: lent(this.token), entered: None },
            body: InPlace { body: this.body, verdict: *this.verdict, value, on_error },
            cx,
        }
    }
}

impl<F: Future, T: AsToken> Supervised<F, T> {
    /// Lends all of the call for one poll.
    pub(super) fn lend<'a, 'c>(
        self: Pin<&'a mut Self>,
        cx: &'a mut Context<'c>,
        value: &'a mut Poll<F::Output>,
    ) -> Call<'a, 'c, F> {
        let this = self.project();
        this.run.lend_call(cx, value, *this.from_task_error)
    }
}

/// A call between its halves. After a panic only the boundary uses it, which knows.
pub(super) struct Between<'a, 'b, 'c, F: Future>(pub(super) &'a mut Call<'b, 'c, F>);

impl<F: Future> UnwindSafe for Between<'_, '_, '_, F> {}

impl<F: Future> Between<'_, '_, '_, F> {
    // By force, as what it calls: there is a frame less.
    #[inline(always)]
    pub(super) fn poll(&mut self) -> Option<Verdict> {
        self.0.body.advance(self.0.cx);
        self.0.body.judge()
    }
}

impl<F: Future> Call<'_, '_, F> {
    /// The first half. Whether the body is to be polled now.
    pub(super) fn enter(&mut self) -> bool {
        enter(&mut self.lent, &mut self.body, self.cx)
    }

    /// The second half.
    pub(super) fn leave(&mut self, polled: Polled) {
        leave(&mut self.lent, &mut self.body, self.cx, polled);
    }
}
