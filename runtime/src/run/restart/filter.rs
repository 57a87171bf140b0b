//! Which errors a call restarts after: the function that `restart_if` names.

use crate::run::output::{FallibleOutput, SupervisedOutput};

/// Decides from the value of a run whether a restart may follow it.
pub trait RestartFilter<R> {
    #[doc(hidden)]
    fn accepts(&self, value: &R) -> bool;
}

/// Without `restart_if`: after every error.
impl<R> RestartFilter<R> for () {
    fn accepts(&self, _: &R) -> bool {
        true
    }
}

/// `restart_if = path`. A value, since a static cannot name the error type of a generic function.
pub struct RestartIf<R: SupervisedOutput> {
    accepts: fn(&R::Error) -> bool,
    // A pointer, so that only `new` has the bound: its error is then the only one.
    as_error: fn(&R) -> Option<&R::Error>,
}

impl<R: FallibleOutput> RestartIf<R> {
    pub(super) fn new(accepts: fn(&R::Error) -> bool) -> Self {
        Self { accepts, as_error: R::as_error }
    }
}

impl<R: SupervisedOutput> RestartFilter<R> for RestartIf<R> {
    fn accepts(&self, value: &R) -> bool {
        (self.as_error)(value).is_none_or(self.accepts)
    }
}
