//! The parameters that a call keeps, and clones for the body of each run.

/// A parameter of a function that restarts.
#[diagnostic::on_unimplemented(
    message = "`restart` and `every` need `Clone` parameters, and `{Self}` is not `Clone`",
    label = "not `Clone`",
    note = "each run starts with clones of the parameters: derive `Clone`, or share the value in an `Arc`"
)]
pub trait ClonedForEachRun: Sized {
    #[doc(hidden)]
    fn clone_for_run(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<P: Clone> ClonedForEachRun for P {
    fn clone_for_run(&self) -> Self {
        self.clone()
    }
}

/// A parameter, and how it is cloned. Its `Clone` bound is checked once, at its type.
pub struct RestartArg<P> {
    parameter: P,
    clone: fn(&P) -> P,
}

/// Keeps a parameter.
pub fn restart_arg<P: ClonedForEachRun>(parameter: P) -> RestartArg<P> {
    RestartArg { parameter, clone: P::clone_for_run }
}

impl<P> RestartArg<P> {
    /// The parameter of one run.
    pub fn take(self) -> P {
        self.parameter
    }
}

impl<P> Clone for RestartArg<P> {
    fn clone(&self) -> Self {
        Self { parameter: (self.clone)(&self.parameter), clone: self.clone }
    }
}

/// The closure that makes a body of the parameters. It captures the receiver itself, since nothing else can be called
/// `self`.
#[diagnostic::on_unimplemented(
    message = "`restart` and `every` need a `self` that is `Clone`",
    label = "not `Clone`",
    note = "each run starts with a clone of `self`: derive `Clone`, or take `&self` or `self: Arc<Self>`"
)]
pub trait BodyFactory<F>: FnOnce() -> F {
    #[doc(hidden)]
    fn make(&self) -> F;
}

#[diagnostic::do_not_recommend]
impl<F, M: FnOnce() -> F + Clone> BodyFactory<F> for M {
    fn make(&self) -> F {
        self.clone()()
    }
}
