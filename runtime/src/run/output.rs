//! What a supervised function may return, and how a returned value is judged.

use std::{error::Error, marker::PhantomData};

use crate::{Panic, TaskError, error::is_cancelled, events, panic};

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl<T, E> Sealed for Result<T, E> {}
}

/// A return type that can carry a failure: `()`, or `Result<T, E>` with `E: From<TaskError>`.
///
/// The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "a supervised function cannot return `{Self}`: a panic, a cancellation or a timeout has no way out of it",
    label = "expected `()` or `Result<T, E>` with `E: From<TaskError>`",
    note = "write `-> Result<_, TaskError>`, use an error that holds any other (`anyhow::Error`, `Box<dyn Error + Send + Sync>`, `io::Error`), or add a variant with `#[from] TaskError` to your own"
)]
pub trait SupervisedOutput: sealed::Sealed + Sized {
    /// What a run that went well gives.
    type Value;
    /// What one that did not gives; [`TaskError`] for a function that returns `()`.
    type Error;

    #[doc(hidden)]
    fn from_task_error(error: TaskError) -> Self;
    #[doc(hidden)]
    fn error(error: TaskError) -> Self::Error;
    #[doc(hidden)]
    fn settle(result: Result<Self, TaskError>) -> Result<Self::Value, Self::Error>;
    #[doc(hidden)]
    fn by_shape(&self) -> Verdict;
}

#[diagnostic::do_not_recommend]
impl SupervisedOutput for () {
    type Value = ();
    type Error = TaskError;

    fn from_task_error(error: TaskError) -> Self {
        events::swallowed(&error);
    }

    fn error(error: TaskError) -> TaskError {
        error
    }

    fn settle(result: Result<Self, TaskError>) -> Result<(), TaskError> {
        result
    }

    fn by_shape(&self) -> Verdict {
        Verdict::Ok
    }
}

#[diagnostic::do_not_recommend]
impl<T, E: From<TaskError>> SupervisedOutput for Result<T, E> {
    type Value = T;
    type Error = E;

    fn from_task_error(error: TaskError) -> Self {
        Err(Self::error(error))
    }

    fn error(error: TaskError) -> E {
        let task = error.task();
        converted(task, || E::from(error), E::from)
    }

    fn settle(result: Result<Self, TaskError>) -> Result<T, E> {
        result.unwrap_or_else(|error| Err(Self::error(error)))
    }

    fn by_shape(&self) -> Verdict {
        by_shape(self)
    }
}

/// Converts an error by the user's `From`. One that panics is asked once more, with that panic; a second
/// panic has nowhere to go but out.
pub(super) fn converted<E>(
    task: &'static str,
    convert: impl FnOnce() -> E,
    of_the_panic: impl FnOnce(TaskError) -> E,
) -> E {
    panic::catch(convert).unwrap_or_else(|caught| {
        let panic = Panic::new(task, caught);
        events::panicked(&panic);
        of_the_panic(TaskError::Panicked(panic))
    })
}

/// What a returned value says of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `()`, `Ok`, or something that is no `Result`.
    Ok,
    /// An `Err`.
    Error,
    /// An `Err` that carries `TaskError::Cancelled`.
    CarriesCancelled,
}

/// The two functions that a run needs of its return type, as plain pointers.
pub struct Output<R> {
    pub(super) verdict: fn(&R) -> Verdict,
    pub(super) from_task_error: fn(TaskError) -> R,
}

/// Asks the return type's bound, once for a function, at its return type.
pub fn output<R: SupervisedOutput>(verdict: fn(&R) -> Verdict) -> Output<R> {
    Output { verdict, from_task_error: R::from_task_error }
}

/// Stands in where the return type was refused already: it keeps the rest of the function compiling.
pub fn refused<R>(verdict: fn(&R) -> Verdict) -> Output<R> {
    Output { verdict, from_task_error: |error| unreachable!("a refused function ran: {error}") }
}

/// The verdict where nothing is known of the type.
pub fn always_ok<R>(_: &R) -> Verdict {
    Verdict::Ok
}

fn by_shape<T, E>(result: &Result<T, E>) -> Verdict {
    match result {
        Ok(_) => Verdict::Ok,
        Err(_) => Verdict::Error,
    }
}

fn of<T, E>(result: &Result<T, E>, carries: impl FnOnce(&E) -> bool) -> Verdict {
    match result {
        Ok(_) => Verdict::Ok,
        Err(error) if carries(error) => Verdict::CarriesCancelled,
        Err(_) => Verdict::Error,
    }
}

/// Finds the verdict of a concrete return type, by how much is known of its error.
///
/// The traits are implemented for ever fewer references to a probe, so that a call on the most
/// references takes the first whose bound holds.
pub struct Probe<R>(PhantomData<fn() -> R>);

impl<R> Clone for Probe<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Probe<R> {}

impl<R> Probe<R> {
    /// A probe.
    pub const NEW: Self = Self(PhantomData);
}

impl<T, E> Probe<Result<T, E>> {
    /// The verdict for an error that borrows: nothing can be looked for in it.
    #[must_use]
    pub fn by_shape() -> fn(&Result<T, E>) -> Verdict {
        by_shape
    }
}

/// Declares the traits of the probe, from the most is known to the least.
macro_rules! probes {
    ($($(#[$doc:meta])* $name:ident for $probe:ty, $out:ty, [$($generics:tt)*], $verdict:expr;)*) => {$(
        $(#[$doc])*
        pub trait $name {
            /// The return type.
            type Output;
            /// The verdict on values of it.
            fn __supervised_verdict(self) -> fn(&Self::Output) -> Verdict;
        }
        impl<$($generics)*> $name for $probe {
            type Output = $out;
            fn __supervised_verdict(self) -> fn(&$out) -> Verdict {
                $verdict
            }
        }
    )*};
}

probes! {
    /// The error is an `Error`: its sources are looked through.
    ByError for &&&&Probe<Result<T, E>>, Result<T, E>, [T, E: Error + 'static],
        |result| of(result, |error| is_cancelled(error));
    /// The error holds any shared error: `anyhow::Error`, `eyre::Report`, `Box<dyn Error + Send + Sync>`.
    BySharedError for &&&Probe<Result<T, E>>, Result<T, E>, [T, E: AsRef<dyn Error + Send + Sync + 'static>],
        |result| of(result, |error| is_cancelled(error.as_ref()));
    /// The error holds any error: `Box<dyn Error>`.
    ByAnyError for &&Probe<Result<T, E>>, Result<T, E>, [T, E: AsRef<dyn Error + 'static>],
        |result| of(result, |error| is_cancelled(error.as_ref()));
    /// The error is something else.
    ByResult for &Probe<Result<T, E>>, Result<T, E>, [T, E],
        by_shape;
    /// There is no error.
    ByAnything for Probe<R>, R, [R],
        always_ok;
}
