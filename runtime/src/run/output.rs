//! The return types of a supervised function, and how a returned value is classified.

use std::{cell::Cell, error::Error, fmt, marker::PhantomData};

use crate::{
    error::{Origin, Panic, TaskError, is_cancelled, is_unfinished},
    function::TaskSpec,
    panic::{self, Caught},
    telemetry::events,
};

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl<T, E> Sealed for Result<T, E> {}
}

/// A return type that can carry a failure: `()`, or `Result<T, E>` with `E: From<TaskError>`.
///
/// The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "the return type `{Self}` cannot carry a failure",
    label = "expected `()` or `Result<T, E>` with `E: From<TaskError>`",
    note = "write `-> Result<_, TaskError>`, use an error type that holds any error (`anyhow::Error`, `Box<dyn Error + Send + Sync>`, `io::Error`), or add a variant with `#[from] TaskError` to your error type"
)]
pub trait SupervisedOutput: sealed::Sealed + Sized {
    /// The success type.
    type Value;
    /// The error type; [`TaskError`] for a function that returns `()`.
    type Error;

    #[doc(hidden)]
    fn from_task_error(error: TaskError) -> Self;
    #[doc(hidden)]
    fn error(error: TaskError) -> Self::Error;
    #[doc(hidden)]
    fn into_result(result: Result<Self, TaskError>) -> Result<Self::Value, Self::Error>;
    #[doc(hidden)]
    fn by_shape(&self, text: Option<&mut Text>) -> Verdict;
}

/// A return type that carries an error: what `restart_if` filters.
#[diagnostic::on_unimplemented(
    message = "`restart_if` filters errors, and `{Self}` carries none",
    label = "expected `Result<T, E>`",
    note = "return `Result<_, E>`, or remove `restart_if`"
)]
pub trait FallibleOutput: SupervisedOutput {
    #[doc(hidden)]
    fn as_error(&self) -> Option<&Self::Error>;
}

#[diagnostic::do_not_recommend]
impl<T, E: From<TaskError>> FallibleOutput for Result<T, E> {
    fn as_error(&self) -> Option<&E> {
        self.as_ref().err()
    }
}

/// A return type without a value: what a call of `every` or [`Restarting::interval`](crate::Restarting::interval) can end
/// with between two runs.
#[diagnostic::on_unimplemented(
    message = "a periodic call has no value to return between two runs, and `{Self}` needs one",
    label = "expected `()` or `Result<(), E>`",
    note = "return `Result<(), _>`, and send each run's value to where it is used"
)]
pub trait PeriodicOutput: SupervisedOutput {
    #[doc(hidden)]
    fn done() -> Self;
}

#[diagnostic::do_not_recommend]
impl PeriodicOutput for () {
    fn done() {}
}

#[diagnostic::do_not_recommend]
impl<E: From<TaskError>> PeriodicOutput for Result<(), E> {
    fn done() -> Self {
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl SupervisedOutput for () {
    type Value = ();
    type Error = TaskError;

    fn from_task_error(error: TaskError) -> Self {
        events::error_discarded(&error);
    }

    fn error(error: TaskError) -> TaskError {
        error
    }

    fn into_result(result: Result<Self, TaskError>) -> Result<(), TaskError> {
        result
    }

    fn by_shape(&self, _: Option<&mut Text>) -> Verdict {
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

    fn into_result(result: Result<Self, TaskError>) -> Result<T, E> {
        result.unwrap_or_else(|error| Err(Self::error(error)))
    }

    fn by_shape(&self, text: Option<&mut Text>) -> Verdict {
        by_shape(self, text)
    }
}

/// Converts an error by the user's `From`. If that panics, converts the panic instead; a second panic unwinds into the
/// caller.
pub(super) fn converted<E>(
    task: &'static str,
    convert: impl FnOnce() -> E,
    of_the_panic: impl FnOnce(TaskError) -> E,
) -> E {
    panic::catch(convert).unwrap_or_else(|caught| of_the_panic(panicked(task, caught)))
}

/// Logs a panic, and returns it as an error.
#[cold]
pub(crate) fn panicked(task: impl Into<Origin>, caught: Caught) -> TaskError {
    let panic = Panic::new(task, caught);
    events::panicked(&panic);
    TaskError::Panicked(panic)
}

/// How a returned value is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `()`, `Ok`, or a value that is no `Result`.
    Ok,
    /// An `Err`.
    Error,
    /// An `Err` that carries `TaskError::Cancelled`.
    CarriesCancelled,
    /// An `Err` that carries an `Unfinished`, among other things.
    CarriesUnfinished,
}

/// Judges a returned value, or writes the text of its error if a place for it is given.
pub(crate) type Judge<R> = fn(&R, Option<&mut Text>) -> Verdict;

/// The text of an error of `task`, cut after 4 KiB. A panic of the error's code is logged, and named in the text.
pub struct Text {
    task: Origin,
    text: String,
}

impl Text {
    const MOST: usize = 4_096;
    /// How many sources are followed: a chain of sources may be circular.
    const DEEPEST: usize = 64;

    fn new(task: Origin) -> Self {
        Self { task, text: String::new() }
    }

    /// Returns the text of an error of which only its `Display` is known.
    pub(crate) fn of_display(task: &'static str, error: fmt::Arguments<'_>) -> Box<str> {
        let mut text = Self::new(Origin::from(task));
        text.write_args("Display", error);
        text.text.into()
    }

    /// Writes an error, and each source whose text is not there yet.
    fn write(&mut self, error: &dyn Error) {
        let mut next = Some(error);
        for _ in 0..Self::DEEPEST {
            let Some(error) = next else { return };
            let mut link = Self::new(self.task.clone());
            link.write_args("Display", format_args!("{error}"));
            if !self.text.contains(&link.text) {
                let colon = if self.text.is_empty() { "" } else { ": " };
                _ = fmt::write(self, format_args!("{colon}{}", link.text));
            }
            next = match panic::catch(|| error.source()) {
                Ok(source) => source.map(|source| source as &dyn Error),
                Err(caught) => {
                    _ = panicked(self.task.clone(), caught);
                    None
                }
            };
        }
    }

    /// Writes what `trait_name` of an error prints.
    fn write_args(&mut self, trait_name: &'static str, error: fmt::Arguments<'_>) {
        // An `Err` means that the text was cut, which is no failure.
        if let Err(caught) = panic::catch(|| _ = fmt::write(self, error)) {
            _ = panicked(self.task.clone(), caught);
            _ = fmt::write(self, format_args!("(its `{trait_name}` panicked)"));
        }
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let room = Self::MOST.saturating_sub(self.text.len());
        if piece.len() <= room {
            self.text.push_str(piece);
            return Ok(());
        }
        let end = (0..=room).rev().find(|end| piece.is_char_boundary(*end)).unwrap_or(0);
        self.text.push_str(&piece[..end]);
        Err(fmt::Error)
    }
}

/// The properties of a run's error that a scope uses besides its type.
pub(crate) struct ErrorNote {
    /// Its text, empty if it cannot be printed.
    pub(crate) text: Box<str>,
    /// Whether it carries an [`Unfinished`](crate::Unfinished).
    pub(crate) carries_unfinished: bool,
}

impl ErrorNote {
    /// Returns the text, if there is one.
    pub(crate) fn into_text(self) -> Option<Box<str>> {
        Some(self.text).filter(|text| !text.is_empty())
    }
}

/// Puts the note of a run's error into its place.
#[cold]
pub(super) fn put_note<R>(
    place: &Cell<Option<ErrorNote>>,
    task: &'static TaskSpec,
    result: Result<&R, &TaskError>,
    judge: Judge<R>,
) {
    let mut text = Text::new(Origin::from(task));
    let mut carries_unfinished = false;
    match result {
        Ok(value) => {
            _ = judge(value, Some(&mut text));
            // It has judged this value before, and did not panic.
            let verdict = panic::catch(|| judge(value, None));
            carries_unfinished = matches!(verdict, Ok(Verdict::CarriesUnfinished));
        }
        Err(error) => text.write(error),
    }
    place.set(Some(ErrorNote { text: text.text.into(), carries_unfinished }));
}

/// The two functions of a return type that a run needs, as function pointers.
pub struct Output<R> {
    pub(super) verdict: Judge<R>,
    pub(super) from_task_error: fn(TaskError) -> R,
}

/// Checks the bound of a return type, once for each function: the compiler's error then points there.
pub fn output<R: SupervisedOutput>(verdict: Judge<R>) -> Output<R> {
    Output { verdict, from_task_error: R::from_task_error }
}

/// Replaces [`output`] if the return type was refused: the rest of the function then compiles.
pub fn refused<R>(verdict: Judge<R>) -> Output<R> {
    Output { verdict, from_task_error: |error| unreachable!("a refused function ran: {error}") }
}

/// A value of a function's return type, for code that is never reached.
#[cold]
pub fn declared<R>() -> R {
    unreachable!("it is called where no code is reached")
}

/// The verdict if nothing is known of the type.
pub fn always_ok<R>(_: &R, _: Option<&mut Text>) -> Verdict {
    Verdict::Ok
}

fn by_shape<T, E>(result: &Result<T, E>, _: Option<&mut Text>) -> Verdict {
    match result {
        Ok(_) => Verdict::Ok,
        Err(_) => Verdict::Error,
    }
}

fn of<T, E>(
    result: &Result<T, E>,
    text: Option<&mut Text>,
    as_error: impl FnOnce(&E) -> &(dyn Error + 'static),
) -> Verdict {
    match result {
        Ok(_) => Verdict::Ok,
        Err(error) => {
            let error = as_error(error);
            match text {
                Some(text) => text.write(error),
                None => return carried(error),
            }
            Verdict::Error
        }
    }
}

/// The judge of an error whose sources cannot be searched, but which can be printed.
fn printed<T, E>(
    result: &Result<T, E>,
    text: Option<&mut Text>,
    print: impl FnOnce(&E, &mut Text),
) -> Verdict {
    match (result, text) {
        (Ok(_), _) => return Verdict::Ok,
        (Err(error), Some(text)) => print(error, text),
        (Err(_), None) => {}
    }
    Verdict::Error
}

/// Finds the judge of a concrete return type, by how much is known of its error.
///
/// Each trait is implemented for one reference fewer to a probe than the trait before it. A call on the most references
/// selects the first trait whose bound holds.
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

/// Declares the traits of the probe, from the most specific to the least.
macro_rules! probes {
    ($($(#[$doc:meta])* $name:ident for $probe:ty, $out:ty, [$($generics:tt)*], $verdict:expr;)*) => {$(
        $(#[$doc])*
        pub trait $name {
            /// The return type.
            type Output;
            /// The verdict on values of the type.
            fn __supervised_verdict(self) -> Judge<Self::Output>;
        }
        impl<$($generics)*> $name for $probe {
            type Output = $out;
            fn __supervised_verdict(self) -> Judge<$out> {
                $verdict
            }
        }
    )*};
}

probes! {
    /// The error is an `Error`: its sources are searched.
    ByError for &&&&&&Probe<Result<T, E>>, Result<T, E>, [T, E: Error + 'static],
        |result, text| of(result, text, |error| error);
    /// The error holds any shared error: `anyhow::Error`, `eyre::Report`, `Box<dyn Error + Send + Sync>`.
    BySharedError for &&&&&Probe<Result<T, E>>, Result<T, E>, [T, E: AsRef<dyn Error + Send + Sync + 'static>],
        |result, text| of(result, text, |error| error.as_ref());
    /// The error holds any error: `Box<dyn Error>`.
    ByAnyError for &&&&Probe<Result<T, E>>, Result<T, E>, [T, E: AsRef<dyn Error + 'static>],
        |result, text| of(result, text, |error| error.as_ref());
    /// The error is an `Error` that borrows: it is printed with its sources, and not searched. In place of the three
    /// above, which a borrow does not fit.
    ByBorrowedError for &&&&Probe<Result<T, E>>, Result<T, E>, [T, E: Error],
        |result, text| printed(result, text, |error, text| text.write(error));
    /// The error has a `Display`. The alternate form, as in a pool: it may have more.
    ByDisplay for &&&Probe<Result<T, E>>, Result<T, E>, [T, E: fmt::Display],
        |result, text| printed(result, text, |error, text| text.write_args("Display", format_args!("{error:#}")));
    /// The error has a `Debug`.
    ByDebug for &&Probe<Result<T, E>>, Result<T, E>, [T, E: fmt::Debug],
        |result, text| printed(result, text, |error, text| text.write_args("Debug", format_args!("{error:?}")));
    /// The error is something else.
    ByResult for &Probe<Result<T, E>>, Result<T, E>, [T, E],
        by_shape;
    /// There is no error.
    ByAnything for Probe<R>, R, [R],
        always_ok;
}

/// Classifies an error by its type, or by that of a source.
fn carried(error: &(dyn Error + 'static)) -> Verdict {
    if is_unfinished(error) {
        Verdict::CarriesUnfinished
    } else if is_cancelled(error) {
        Verdict::CarriesCancelled
    } else {
        Verdict::Error
    }
}
