//! What a call keeps to make its body anew: its parameters, to be cloned for each run.

/// A parameter of a function that restarts.
#[diagnostic::on_unimplemented(
    message = "`restart` needs parameters that are `Clone`, and `{Self}` is not: derive it, or share the value as in `Arc<_>`",
    label = "not `Clone`",
    note = "each run begins with clones of the parameters"
)]
pub trait ClonedForEachRun: Sized {
    #[doc(hidden)]
    fn again(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<P: Clone> ClonedForEachRun for P {
    fn again(&self) -> Self {
        self.clone()
    }
}

/// A parameter, and how it is cloned. That it can be is asked once, at its type: what captures it need not
/// ask again.
pub struct Kept<P> {
    parameter: P,
    again: fn(&P) -> P,
}

/// Keeps a parameter.
pub fn kept<P: ClonedForEachRun>(parameter: P) -> Kept<P> {
    Kept { parameter, again: P::again }
}

impl<P> Kept<P> {
    /// The parameter of one run.
    pub fn take(self) -> P {
        self.parameter
    }
}

impl<P> Clone for Kept<P> {
    fn clone(&self) -> Self {
        Self { parameter: (self.again)(&self.parameter), again: self.again }
    }
}

/// The closure that makes a body of what was kept. It captures the receiver as it is, since nothing else can
/// be called `self`.
#[diagnostic::on_unimplemented(
    message = "`restart` needs a `self` that is `Clone`: each run begins with one of its own",
    label = "not `Clone`",
    note = "derive `Clone`, or take `&self` or `self: Arc<Self>`"
)]
pub trait Anew<F>: FnOnce() -> F {
    #[doc(hidden)]
    fn anew(&self) -> F;
}

#[diagnostic::do_not_recommend]
impl<F, M: FnOnce() -> F + Clone> Anew<F> for M {
    fn anew(&self) -> F {
        self.clone()()
    }
}
