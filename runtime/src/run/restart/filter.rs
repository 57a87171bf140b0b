//! Which errors a call restarts after: the function that `restart_if` names.

use crate::run::output::FallibleOutput;

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
pub struct RestartIf<E>(pub(super) fn(&E) -> bool);

impl<R, E> RestartFilter<R> for RestartIf<E>
where
    R: FallibleOutput<Error = E>,
{
    fn accepts(&self, value: &R) -> bool {
        value.as_error().is_none_or(self.0)
    }
}
