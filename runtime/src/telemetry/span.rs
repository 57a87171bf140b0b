//! The span of a task. A subscriber's panics do not reach the caller.
//!
//! A subscriber is foreign code that is called wherever a task is made, polled and dropped. One that panics there
//! loses what it should have recorded, and nothing else: the hook reports the panic, and the task continues.
//! `tests/faults/subscriber.rs` checks it at each call that a subscriber gets.

use tracing::{Level, Span, level_filters::LevelFilter, span::Entered};

use crate::{panic, panic::drop_quietly};

/// Calls a subscriber; `None` if it panicked.
pub(crate) fn call_subscriber<R>(code: impl FnOnce() -> R) -> Option<R> {
    panic::catch(code).ok()
}

pub(crate) struct TaskSpan(Span);

impl TaskSpan {
    #[inline]
    pub(crate) fn none() -> Self {
        Self(Span::none())
    }

    /// Whether no subscriber takes a span of level `INFO`.
    #[inline]
    pub(crate) fn is_off() -> bool {
        Level::INFO > LevelFilter::current()
    }

    /// Makes a span if a subscriber may take one of level `INFO`; otherwise this is one comparison.
    #[inline]
    pub(crate) fn new(make: impl FnOnce() -> Span) -> Self {
        if Self::is_off() {
            return Self::none();
        }
        call_subscriber(make).map_or_else(Self::none, Self)
    }

    /// The span of the current code.
    pub(crate) fn current() -> Self {
        Self::new(Span::current)
    }

    #[inline]
    pub(crate) fn is_disabled(&self) -> bool {
        self.0.is_disabled()
    }

    /// Enters the span until the guard is dropped.
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

/// The guard of a span that was entered, unless the subscriber panicked.
pub(crate) struct Inside<'a>(Option<Entered<'a>>);

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(entered) = self.0.take() {
            drop_quietly(entered);
        }
    }
}
