//! Panics as values: the boundary that catches them.
//!
//! The steps of a panic:
//!
//! 1. `hook.rs` runs in the panicking code. It stores the location and the backtrace (a [`Site`]) in a thread-local.
//! 2. [`catch`] catches the panic and takes the site: a [`Caught`].
//! 3. The run names its task: a [`Panic`](crate::error::Panic), which is what the caller gets.
//! 4. [`events::panicked`](crate::telemetry::events::panicked) reports it, once: an entry of `recent.rs`
//!    (`recent_panics()`), one `ERROR` event, and a job of `backtraces.rs`, whose thread logs the backtrace. Nothing else
//!    logs a panic.
//!
//! Invariants
//!
//! 1. All user code that the runtime calls runs under [`catch`], and nothing unwinds out of it. Otherwise a panic would
//!    end a worker, or poison state that the worker was changing. (`tests/spec/behaviour/panics.rs`)
//! 2. At most `LONGEST_MESSAGE` bytes of a message are kept, and kept once: the error, the site and the list of recent
//!    panics share them. Without the bound, sixteen failed `assert_eq!` of large buffers would hold hundreds of
//!    megabytes. (`tests/spec/composition/life.rs`)
//! 3. A site is used only if its message equals that of the payload. A foreign hook that replaced ours loses the
//!    location and the backtrace, but never gives wrong ones. (One exception: a panic that is resumed without a hook
//!    gets the site of an earlier panic with the same message that user code caught.)

pub(crate) mod backtraces;
pub(crate) mod hook;
pub(crate) mod recent;

use std::{
    any::Any,
    backtrace::Backtrace,
    borrow::Cow,
    cell::Cell,
    fmt,
    panic::{AssertUnwindSafe, Location, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// How much of a message is kept, in bytes.
const LONGEST_MESSAGE: usize = 8 * 1024;

/// The place in the source that panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicLocation {
    file: Box<str>,
    line: u32,
    column: u32,
}

impl PanicLocation {
    /// The source file, as the compiler was given it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The column, from 1.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.column
    }
}

impl fmt::Display for PanicLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A panic that [`catch`] caught, before it has the name of a task.
pub(crate) struct Caught(Box<Inner>);

struct Inner {
    message: Arc<str>,
    site: Option<Arc<Site>>,
    payload: Payload,
}

/// The location and the backtrace of a panic: stored by the hook, taken by the boundary, shared with the list of recent
/// panics.
pub(crate) struct Site {
    message: Arc<str>,
    pub(crate) location: PanicLocation,
    pub(crate) backtrace: Backtrace,
}

/// A payload may panic when it is dropped, and need not be `Sync`.
struct Payload(Mutex<Option<Box<dyn Any + Send>>>);

impl Payload {
    fn take(&self) -> Option<Box<dyn Any + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        if let Some(payload) = self.take() {
            drop_quietly(payload);
        }
    }
}

/// Drops a value whose drop may panic. The hook reports the panic, and nothing unwinds.
#[inline]
pub(crate) fn drop_quietly<T>(value: T) {
    if std::mem::needs_drop::<T>() {
        quietly(|| drop(value));
    }
}

/// Calls foreign code whose result is not used: a waker, a drop. The hook reports a panic, and nothing unwinds. Returns
/// whether the code returned.
#[inline]
pub(crate) fn quietly(code: impl FnOnce()) -> bool {
    let mut code = Some(code);
    call_quietly(&mut || {
        if let Some(code) = code.take() {
            code();
        }
    })
}

/// One copy for all types.
fn call_quietly(code: &mut dyn FnMut()) -> bool {
    let outer = save_outer_site();
    let ended = match catch_unwind(AssertUnwindSafe(code)) {
        Ok(()) => true,
        Err(again) => {
            // The payload is not dropped, since that may panic again. Its site is not used.
            std::mem::forget(again);
            _ = SITE.try_with(Cell::take);
            false
        }
    };
    restore_outer_site(outer);
    ended
}

/// Like [`drop_quietly`], for several values. The process would abort if a collection dropped two that panic.
pub(crate) fn drop_each_quietly<T>(values: impl IntoIterator<Item = T>) {
    for value in values {
        drop_quietly(value);
    }
}

std::thread_local! {
    /// How many boundaries are on this thread's stack.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// The last panic's site, until its boundary takes it.
    static SITE: Cell<Option<Box<Site>>> = const { Cell::new(None) };
}

/// Takes the site of a panic that unwinds through a drop: a panic inside must not replace it.
#[inline]
fn save_outer_site() -> Outer {
    if thread::panicking() { SITE.try_with(Cell::take).ok().flatten() } else { None }
}

#[inline]
fn restore_outer_site(outer: Outer) {
    // By arms: without a site nothing has to be dropped.
    match outer {
        None => {}
        Some(site) => restore_site(site),
    }
}

#[cold]
fn restore_site(site: Box<Site>) {
    _ = SITE.try_with(|slot| slot.set(Some(site)));
}

/// Runs the user's code; a panic in it becomes a value.
///
/// Compiled for each type of code, and therefore small: only `catch_unwind` depends on the type.
#[inline]
pub(crate) fn catch<R>(code: impl FnOnce() -> R) -> Result<R, Caught> {
    let outer = enter();
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(value) => {
            exit(outer);
            Ok(value)
        }
        Err(payload) => Err(caught(payload, outer)),
    }
}

/// Like [`catch`], for code that has its own `catch_unwind`. It costs nothing, and records no location.
#[inline]
pub(crate) fn catch_escaped<R>(code: impl FnOnce() -> R) -> Result<R, Caught> {
    catch_unwind(AssertUnwindSafe(code)).map_err(Caught::new)
}

/// The site of a panic around the boundary, until it is left again.
pub(crate) type Outer = Option<Box<Site>>;

#[inline]
pub(crate) fn enter() -> Outer {
    let outer = save_outer_site();
    DEPTH.set(DEPTH.get() + 1);
    outer
}

#[inline]
pub(crate) fn exit(outer: Outer) {
    DEPTH.set(DEPTH.get() - 1);
    restore_outer_site(outer);
}

#[cold]
pub(crate) fn caught(payload: Box<dyn Any + Send>, outer: Outer) -> Caught {
    let caught = Caught::new(payload);
    exit(outer);
    caught
}

impl Caught {
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn shared_message(&self) -> Arc<str> {
        self.0.message.clone()
    }

    pub(crate) fn site(&self) -> Option<&Arc<Site>> {
        self.0.site.as_ref()
    }

    pub(crate) fn into_payload(self) -> Box<dyn Any + Send> {
        self.0.payload.take().expect("a payload is taken once, by value")
    }

    /// Resumes a panic that nothing can carry as a value.
    pub(crate) fn resume(self) -> ! {
        std::panic::resume_unwind(self.into_payload())
    }

    #[cold]
    fn new(payload: Box<dyn Any + Send>) -> Self {
        let message = message_of(&*payload);
        let site = SITE.try_with(Cell::take).ok().flatten();
        let site: Option<Arc<Site>> = site.filter(|site| *site.message == *message).map(Arc::from);
        let message = match &site {
            Some(site) => site.message.clone(),
            None => message.into(),
        };
        Self(Box::new(Inner { message, site, payload: Payload(Mutex::new(Some(payload))) }))
    }
}

fn message_of(payload: &(dyn Any + Send)) -> Cow<'_, str> {
    let message = match payload.downcast_ref::<&str>() {
        Some(message) => message,
        None => match payload.downcast_ref::<String>() {
            Some(message) => message.as_str(),
            None => "the payload is not a string",
        },
    };
    if message.len() <= LONGEST_MESSAGE {
        return message.into();
    }
    let end = (0..=LONGEST_MESSAGE).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
    format!("{}… ({} bytes)", &message[..end], message.len()).into()
}

/// The suffix of a message that was cut, with its length.
#[cfg(feature = "axum")]
pub(crate) fn original_length(message: &str) -> Option<&str> {
    let (_, end) = message.rsplit_once("… (")?;
    let bytes = end.strip_suffix(" bytes)")?;
    bytes.bytes().all(|digit| digit.is_ascii_digit()).then_some(bytes)
}

/// Stores the site of a panic for the boundary around it, if there is one. Called by the hook.
fn leave_site(
    location: &Location<'_>,
    payload: &(dyn Any + Send),
    capture: impl FnOnce() -> Backtrace,
) {
    if DEPTH.get() == 0 {
        return;
    }
    let site = Site {
        message: message_of(payload).into(),
        location: PanicLocation {
            file: location.file().into(),
            line: location.line(),
            column: location.column(),
        },
        backtrace: capture(),
    };
    // The thread-local of a thread that is ending may be destroyed; the panic then has no site.
    _ = SITE.try_with(|slot| slot.set(Some(Box::new(site))));
}
