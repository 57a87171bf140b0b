//! The span of a task, whatever its subscriber does.
//!
//! A subscriber is foreign code that is called wherever a task is made, polled and dropped. One that panics there
//! loses what it should have noted, and nothing else: the hook tells the panic, and the task goes on.
//! `tests/faults/subscriber.rs` checks it at each call that a subscriber gets.

use tracing::{Level, Span, level_filters::LevelFilter, span::Entered};

use crate::{panic, panic::drop_quietly};

/// Tells a subscriber something; `None` where it panicked.
pub(crate) fn call_subscriber<R>(code: impl FnOnce() -> R) -> Option<R> {
    panic::catch(code).ok()
}

pub(crate) struct TaskSpan(Span);

impl TaskSpan {
    pub(crate) fn none() -> Self {
        Self(Span::none())
    }

    /// Where somebody may listen to a span of level `INFO`; else there is none, at the price of a look.
    #[inline]
    pub(crate) fn new(make: impl FnOnce() -> Span) -> Self {
        if Level::INFO > LevelFilter::current() {
            return Self::none();
        }
        call_subscriber(make).map_or_else(Self::none, Self)
    }

    /// That of the code that runs now.
    pub(crate) fn current() -> Self {
        Self::new(Span::current)
    }

    #[inline]
    pub(crate) fn is_disabled(&self) -> bool {
        self.0.is_disabled()
    }

    /// It is left again when what this gives is dropped.
    #[inline]
    pub(crate) fn enter(&self) -> Inside<'_> {
        Inside(if self.is_disabled() { None } else { call_subscriber(|| self.0.enter()) })
    }

    /// Calls the subscriber, and is to be called within [`call_subscriber`].
    pub(crate) fn as_span(&self) -> &Span {
        &self.0
    }
}

impl Drop for TaskSpan {
    #[inline]
    fn drop(&mut self) {
        if !self.is_disabled() {
            drop_quietly(std::mem::replace(&mut self.0, Span::none()));
        }
    }
}

/// Within a span, as far as the subscriber let us in.
pub(crate) struct Inside<'a>(Option<Entered<'a>>);

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(entered) = self.0.take() {
            drop_quietly(entered);
        }
    }
}
