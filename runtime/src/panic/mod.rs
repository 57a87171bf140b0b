//! Panics as values: the boundary, and the hook that knows where a panic began.
//!
//! Invariants
//!
//! 1. All of the user's code that the runtime calls runs under [`catch`]; nothing unwinds out of it.
//!    (`tests/behaviour/panics.rs`)
//! 2. The hook is installed once and chains: what was there before speaks first, always.
//! 3. The hook stores a site only inside [`catch`], and takes no lock of this crate.
//! 4. What is kept of a message is bounded, and kept once: the error, the site and the list of recent panics share it.
//!    Without the bound, sixteen failed `assert_eq!` of large buffers would hold hundreds of megabytes.
//!    (`tests/composition/life.rs`)
//! 5. No supervised run waits for the hook: to install it takes a lock of `std`, which a panic hook that is blocked
//!    holds. A run that cannot have it soon goes on, and its panics have no place until it is installed.
//!    (`tests/composition/panic_truth.rs`)
//! 6. A site is believed only if its message is that of the payload: someone else's hook that replaced
//!    ours costs the place and the backtrace, and gives no wrong ones. (One panic can be told the place of
//!    another: resumed without a hook, after one with the same message that the user's code caught itself.)

pub(crate) mod backtraces;
pub(crate) mod recent;

use std::{
    any::Any,
    backtrace::Backtrace,
    borrow::Cow,
    cell::Cell,
    error::Error,
    fmt,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use crate::error::Origin;

/// How much of a message is kept, in bytes.
const LONGEST_MESSAGE: usize = 8 * 1024;

/// How long a run waits for the hook to be installed; as a rule that takes some microseconds.
const INSTALL_TIMEOUT: Duration = Duration::from_millis(10);

/// A panic that a supervised function's boundary has caught.
///
/// `Display` tells the task, the place and the message; [`backtrace`](Panic::backtrace) is that of the
/// panic site, through any number of `.await`s.
pub struct Panic {
    task: Origin,
    caught: Caught,
}

/// Where a panic began, in the source that panicked.
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

impl Panic {
    pub(crate) fn new(task: impl Into<Origin>, caught: Caught) -> Self {
        Self { task: task.into(), caught }
    }

    /// The task that panicked: its `name`.
    #[must_use]
    pub fn task(&self) -> &'static str {
        self.task.name()
    }

    /// The message of the panic, or a remark that the payload is not a string.
    ///
    /// Of a message of more than 8 KiB it has the beginning, and says how long it was; the whole is in the
    /// [payload](Self::into_payload).
    #[must_use]
    pub fn message(&self) -> &str {
        &self.caught.0.message
    }

    pub(crate) fn shared_message(&self) -> Arc<str> {
        self.caught.0.message.clone()
    }

    /// Where it began.
    ///
    /// `None` where there is nobody to ask: the panic hook was replaced by one that does not call the
    /// one before it, or the panic was resumed (`resume_unwind`), which calls no hook.
    #[must_use]
    pub fn location(&self) -> Option<&PanicLocation> {
        self.caught.0.site.as_ref().map(|site| &site.location)
    }

    /// The backtrace of the panic site, captured always, symbolised when it is first displayed.
    ///
    /// `None` where [`location`](Self::location) is.
    #[must_use]
    pub fn backtrace(&self) -> Option<&Backtrace> {
        self.caught.0.site.as_ref().map(|site| &site.backtrace)
    }

    pub(crate) fn site(&self) -> Option<Arc<Site>> {
        self.caught.0.site.clone()
    }

    /// The payload, for `std::panic::resume_unwind` or a downcast.
    #[must_use]
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        let payload = self.caught.0.payload;
        payload.take().expect("a payload is taken once, by value")
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task `{}` panicked", self.task())?;
        if let Some(location) = self.location() {
            write!(f, " at {location}")?;
        }
        write!(f, ": {}", self.message())
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panic")
            .field("task", &self.task())
            .field("message", &self.message())
            .field("location", &self.location())
            .finish_non_exhaustive()
    }
}

impl Error for Panic {
    /// Where the function is defined.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.task)
    }
}

/// What [`catch`] caught, before anyone knows whose it is.
pub(crate) struct Caught(Box<Inner>);

struct Inner {
    message: Arc<str>,
    site: Option<Arc<Site>>,
    payload: Payload,
}

/// Left by the hook, for the boundary to pick up; shared with the list of recent panics.
pub(crate) struct Site {
    message: Arc<str>,
    pub(crate) location: PanicLocation,
    pub(crate) backtrace: Backtrace,
}

/// A payload may panic when it is dropped; nobody may ask it to be `Sync`.
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

/// Drops a value whose drop may panic. A panic is told by the hook, and goes no further.
#[inline]
pub(crate) fn drop_quietly<T>(value: T) {
    if std::mem::needs_drop::<T>() {
        quietly(|| drop(value));
    }
}

/// Calls foreign code that nobody waits for: a waker, a drop. A panic is told by the hook, and goes no further.
/// Whether it came to its end.
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
            // The payload of that panic is not asked again, and its site is nobody's.
            std::mem::forget(again);
            _ = SITE.try_with(Cell::take);
            false
        }
    };
    restore_outer_site(outer);
    ended
}

/// The same for many: a collection that drops two of them that panic would abort the process.
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

/// The site of a panic that is unwinding through a drop: one that begins inside must not take its place.
#[inline]
fn save_outer_site() -> Outer {
    if thread::panicking() { SITE.try_with(Cell::take).ok().flatten() } else { None }
}

#[inline]
fn restore_outer_site(outer: Outer) {
    // By arms: where there is none there is nothing to drop.
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
/// What differs from one piece of code to the next is `catch_unwind` alone: each has a copy of this.
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

/// As [`catch`], for code whose boundaries have caught what they could: it costs nothing, and knows no place.
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
    /// Goes on with a panic that nothing can carry as a value.
    pub(crate) fn resume(self) -> ! {
        let payload = self.0.payload.take().expect("a payload is taken once, by value");
        std::panic::resume_unwind(payload)
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

/// What the end of a message says of its length, if it was cut.
#[cfg(feature = "axum")]
pub(crate) fn original_length(message: &str) -> Option<&str> {
    let (_, end) = message.rsplit_once("… (")?;
    let bytes = end.strip_suffix(" bytes)")?;
    bytes.bytes().all(|digit| digit.is_ascii_digit()).then_some(bytes)
}

/// Installs the hook, once for the process.
///
/// Returns when it is installed, or when [`INSTALL_TIMEOUT`] has passed, since `std` waits for a hook that is running.
/// (While it waits, a panic elsewhere waits too: `std` lets no hook start before the one that waits to be installed.)
#[cold]
pub(crate) fn install_hook() {
    static HOOK: Mutex<Hook> = Mutex::new(Hook::Absent);
    let lock = || HOOK.lock().unwrap_or_else(PoisonError::into_inner);

    let (installed, is_installed) = mpsc::channel();
    let mut hook = lock();
    match &mut *hook {
        Hook::Installed => return,
        Hook::Awaited(waiting) => waiting.push(installed),
        Hook::Absent => {
            let spawned =
                thread::Builder::new().name("supervised-hook".to_owned()).spawn(move || {
                    chain_hook();
                    drop(std::mem::replace(&mut *lock(), Hook::Installed));
                });
            // Without a thread, the next function that runs for the first time tries again.
            if spawned.is_err() {
                return;
            }
            *hook = Hook::Awaited(vec![installed]);
        }
    }
    drop(hook);
    // Nothing is ever sent: the drop of the sender ends the wait.
    _ = is_installed.recv_timeout(INSTALL_TIMEOUT);
}

enum Hook {
    Absent,
    /// A thread installs it, as soon as no hook is running, and then drops what the others wait for.
    Awaited(Vec<mpsc::Sender<()>>),
    Installed,
}

fn chain_hook() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        previous(info);
        record(info);
    }));
}

fn record(info: &PanicHookInfo<'_>) {
    if DEPTH.get() == 0 {
        return;
    }
    let Some(location) = info.location() else { return };
    let site = Site {
        message: message_of(info.payload()).into(),
        location: PanicLocation {
            file: location.file().into(),
            line: location.line(),
            column: location.column(),
        },
        backtrace: Backtrace::force_capture(),
    };
    // A thread that is ending may have no place left; the panic then has no site.
    _ = SITE.try_with(|slot| slot.set(Some(Box::new(site))));
}
