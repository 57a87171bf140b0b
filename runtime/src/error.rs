//! Why a run returned no value: [`TaskError`], and one type for each of its variants.

use std::{
    any::Any, backtrace::Backtrace, error::Error, fmt, io, panic::Location, sync::Arc,
    time::Duration,
};

use crate::{
    cause::Cause,
    function::TaskSpec,
    outcome::Outcome,
    panic::{Caught, PanicLocation, Site},
    tuning::{Bracketed, Label, TaskTitle},
};

/// Why a run returned no value.
///
/// A supervised function returns it as its declared error: `E: From<TaskError>`.
///
/// Its `source` says where the function is defined. [`is_cancelled`] says whether any error comes from a cancellation, even
/// through an enum that is transparent over this one.
///
/// ```
/// # use tokio_supervised::{supervised, CancellationToken, TaskError};
/// #[supervised]
/// async fn divide(a: u32, b: u32) -> Result<u32, TaskError> {
///     Ok(a / b)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let token = CancellationToken::new();
/// let error = divide(&token, 1, 0).await.unwrap_err();
/// assert!(matches!(error, TaskError::Panicked(_)));
/// assert_eq!(error.task(), "divide");
/// # }
/// ```
// Two words, the tag among them: a result is moved several times with every run. A tag of one byte would be written alone
// and read back as a part of a word, for which the processor waits.
#[derive(Debug)]
#[non_exhaustive]
#[repr(usize)]
pub enum TaskError {
    /// The body panicked.
    Panicked(Panic),
    /// The token fired.
    Cancelled(Cancelled),
    /// The body took longer than its `timeout`.
    TimedOut(TimedOut),
    /// The run was refused.
    Rejected(Rejected),
}

impl TaskError {
    /// The task's `name`.
    #[must_use]
    pub fn task(&self) -> &'static str {
        match self {
            Self::Panicked(panic) => panic.task(),
            Self::Cancelled(cancelled) => cancelled.task(),
            Self::TimedOut(timed_out) => timed_out.task(),
            Self::Rejected(rejected) => rejected.task(),
        }
    }

    /// How the run ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Panicked(_) => Outcome::Panicked,
            Self::Cancelled(_) => Outcome::Cancelled,
            Self::TimedOut(_) => Outcome::TimedOut,
            Self::Rejected(_) => Outcome::Rejected,
        }
    }
}

impl TaskError {
    pub(crate) fn title(&self) -> TaskTitle<'_> {
        match self {
            Self::Panicked(panic) => panic.0.task.title(),
            Self::Cancelled(cancelled) => cancelled.0.task.0.title(),
            Self::TimedOut(timed_out) => timed_out.0.task.title(),
            Self::Rejected(rejected) => rejected.0.task.title(),
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => panic.fmt(f),
            Self::Cancelled(cancelled) => cancelled.fmt(f),
            Self::TimedOut(timed_out) => timed_out.fmt(f),
            Self::Rejected(rejected) => rejected.fmt(f),
        }
    }
}

impl Error for TaskError {
    /// Returns where the function is defined.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Panicked(panic) => panic.source(),
            Self::Cancelled(cancelled) => cancelled.source(),
            Self::TimedOut(timed_out) => timed_out.source(),
            Self::Rejected(rejected) => rejected.source(),
        }
    }
}

/// How many sources of an error are followed: a chain may be circular.
pub(crate) const DEEPEST: usize = 64;

/// Whether an error is, or comes from, a cancellation.
///
/// Follows the sources of the error, also through `io::Error`, and through enums and boxes that are transparent over a
/// [`TaskError`].
///
/// ```
/// use tokio_supervised::{CancellationToken, TaskError, is_cancelled, supervised};
///
/// #[supervised]
/// async fn fetch() -> anyhow::Result<()> {
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let token = CancellationToken::new();
/// token.cancel();
/// let error = fetch(&token).await.unwrap_err();
/// assert!(is_cancelled(error.as_ref()));
/// # }
/// ```
#[must_use]
pub fn is_cancelled(error: &(dyn Error + 'static)) -> bool {
    any_source(error, |error| {
        matches!(error.downcast_ref(), Some(TaskError::Cancelled(_)))
            || error.is::<Cancelled>()
            || error.is::<CancelledFunction>()
    })
}

/// Whether an error is, or comes from, an `Unfinished`.
pub(crate) fn is_unfinished(error: &(dyn Error + 'static)) -> bool {
    any_source(error, |error| error.is::<UnfinishedScope>())
}

fn any_source(
    error: &(dyn Error + 'static),
    is_it: impl Fn(&(dyn Error + 'static)) -> bool,
) -> bool {
    let mut next = Some(error);
    for _ in 0..DEEPEST {
        let Some(error) = next else { return false };
        if is_it(error) {
            return true;
        }
        // An `io::Error` returns as its source the source of the error inside it.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    false
}

/// The source of an [`Unfinished`](crate::Unfinished), which identifies it: an error that is transparent over one
/// exposes only its source.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UnfinishedScope {
    /// A pool, and where it was created.
    Pool(&'static Location<'static>),
    /// A `Services`, and where it was created.
    Services(&'static Location<'static>),
}

impl fmt::Display for UnfinishedScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(place) => write!(f, "the pool was created at {place}"),
            Self::Services(place) => write!(f, "the services were created at {place}"),
        }
    }
}

impl Error for UnfinishedScope {}

/// The function that a task is named after. As the source of an error, it says where the function is defined.
///
/// Two words: errors are moved with every result.
#[derive(Clone)]
pub(crate) enum Origin {
    Function(&'static TaskSpec),
    /// A call that has a label.
    Labelled(Arc<LabelledCall>),
    /// A section with a deadline, in the run that it is named after.
    Section(Arc<Section>),
    /// The closure that names the function was not called, or did not return.
    Unmade(Arc<UnmadeTask>),
}

pub(crate) struct UnmadeTask {
    name: &'static str,
}

pub(crate) struct Section {
    run: &'static str,
    place: &'static Location<'static>,
}

pub(crate) struct LabelledCall {
    spec: &'static TaskSpec,
    label: Label,
}

impl Origin {
    /// The call of a function, with its label if it has one.
    pub(crate) fn of_call(spec: &'static TaskSpec, label: Option<&Label>) -> Self {
        match label {
            None => Self::Function(spec),
            Some(label) => Self::Labelled(Arc::new(LabelledCall { spec, label: label.clone() })),
        }
    }

    /// A section at `place`, in the run of that name if there is one.
    pub(crate) fn of_section(run: Option<&'static str>, place: &'static Location<'static>) -> Self {
        Self::Section(Arc::new(Section { run: run.unwrap_or("within"), place }))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Function(spec) => spec.name(),
            Self::Labelled(call) => call.spec.name(),
            Self::Section(section) => section.run,
            Self::Unmade(task) => task.name,
        }
    }

    pub(crate) fn label(&self) -> Option<&str> {
        match self {
            Self::Labelled(call) => Some(call.label.as_str()),
            Self::Function(_) | Self::Section(_) | Self::Unmade(_) => None,
        }
    }

    /// How the task is written in a text.
    pub(crate) fn title(&self) -> TaskTitle<'_> {
        TaskTitle { name: self.name(), label: self.label() }
    }
}

impl From<&'static TaskSpec> for Origin {
    fn from(spec: &'static TaskSpec) -> Self {
        Self::Function(spec)
    }
}

impl From<&'static str> for Origin {
    fn from(name: &'static str) -> Self {
        Self::Unmade(Arc::new(UnmadeTask { name }))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let defined = |f: &mut fmt::Formatter<'_>, spec: &TaskSpec| {
            write!(f, "the function is defined at {}", spec.place())
        };
        match self {
            Self::Function(spec) => defined(f, spec),
            Self::Labelled(call) => defined(f, call.spec),
            Self::Section(section) => write!(f, "the section is at {}", section.place),
            Self::Unmade(_) => f.write_str("its function had not been called"),
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{}", self.name(), Bracketed(self.label()))
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        (self.name(), self.label()) == (other.name(), other.label())
    }
}

impl Eq for Origin {}

impl Error for Origin {}

/// Like [`Origin`], for a cancellation. [`is_cancelled`] recognises it even if the error is transparent over a
/// [`TaskError`] and exposes only its source.
#[derive(Clone, PartialEq, Eq)]
struct CancelledFunction(Origin);

impl fmt::Display for CancelledFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for CancelledFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Error for CancelledFunction {}

/// `TimedOut` keeps its kind; everything else is `Other` (`Interrupted` would make callers try again).
impl From<TaskError> for io::Error {
    fn from(error: TaskError) -> Self {
        let kind = match error {
            TaskError::TimedOut(_) => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// A panic that a supervised function's boundary has caught.
///
/// `Display` shows the task, the place and the message; [`backtrace`](Panic::backtrace) is that of the
/// panic site, through any number of `.await`s.
pub struct Panic(Box<PanickedRun>);

struct PanickedRun {
    task: Origin,
    caught: Caught,
}

impl Panic {
    pub(crate) fn new(task: impl Into<Origin>, caught: Caught) -> Self {
        Self(Box::new(PanickedRun { task: task.into(), caught }))
    }

    /// The task that panicked: its `name`.
    #[must_use]
    pub fn task(&self) -> &'static str {
        self.0.task.name()
    }

    /// The message of the panic, or a note that the payload is not a string.
    ///
    /// A message of more than 8 KiB is truncated, and ends with its full length. The [payload](Self::into_payload) has
    /// all of it.
    #[must_use]
    pub fn message(&self) -> &str {
        self.0.caught.message()
    }

    pub(crate) fn label(&self) -> Option<&str> {
        self.0.task.label()
    }

    pub(crate) fn shared_message(&self) -> Arc<str> {
        self.0.caught.shared_message()
    }

    /// The location of the panic.
    ///
    /// `None` if the panic hook was replaced by one that does not call the previous hook, or if the panic was resumed
    /// (`resume_unwind`), which calls no hook.
    #[must_use]
    pub fn location(&self) -> Option<&PanicLocation> {
        self.0.caught.site().map(|site| &site.location)
    }

    /// The backtrace of the panic site, whatever `RUST_BACKTRACE` is, symbolised when it is first displayed.
    ///
    /// Its status is `Disabled` if the panic came while another backtrace was being symbolised for its event, and 5 ms
    /// later that had not ended: a capture would wait for it.
    ///
    /// `None` if [`location`](Self::location) is.
    #[must_use]
    pub fn backtrace(&self) -> Option<&Backtrace> {
        self.0.caught.site().map(|site| &site.backtrace)
    }

    pub(crate) fn site(&self) -> Option<Arc<Site>> {
        self.0.caught.site().cloned()
    }

    /// The payload, for `std::panic::resume_unwind` or a downcast.
    #[must_use]
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.0.caught.into_payload()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} panicked", self.0.task.title())?;
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
    /// Returns where the function is defined.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0.task)
    }
}

/// The token of a run had fired.
#[derive(Clone, PartialEq, Eq)]
pub struct Cancelled(Box<CancelledRun>);

#[derive(Clone, PartialEq, Eq)]
struct CancelledRun {
    task: CancelledFunction,
    cause: Cause,
}

impl Cancelled {
    pub(crate) fn new(task: impl Into<Origin>, cause: Cause) -> Self {
        Self(Box::new(CancelledRun { task: CancelledFunction(task.into()), cause }))
    }

    /// The task's `name`.
    #[must_use]
    pub fn task(&self) -> &'static str {
        self.0.task.0.name()
    }

    /// The cause, from the nearest enclosing group, `map` or main that was cancelled, else [`Cause::Token`].
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.0.cause
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = &*self.0;
        f.debug_struct("Cancelled").field("task", &run.task).field("cause", &run.cause).finish()
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was cancelled: {}", self.0.task.0.title(), self.0.cause)
    }
}

impl Error for Cancelled {
    /// Returns where the function is defined.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0.task)
    }
}

/// A run took longer than its `timeout`.
#[derive(Clone, PartialEq, Eq)]
pub struct TimedOut(Box<TimedOutRun>);

#[derive(Clone, PartialEq, Eq)]
struct TimedOutRun {
    task: Origin,
    timeout: Duration,
}

impl TimedOut {
    pub(crate) fn new(task: impl Into<Origin>, timeout: Duration) -> Self {
        Self(Box::new(TimedOutRun { task: task.into(), timeout }))
    }

    /// The task's `name`.
    #[must_use]
    pub fn task(&self) -> &'static str {
        self.0.task.name()
    }

    /// The time that the run had.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }
}

impl fmt::Debug for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = &*self.0;
        f.debug_struct("TimedOut").field("task", &run.task).field("timeout", &run.timeout).finish()
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} timed out after {:?}", self.0.task.title(), self.0.timeout)
    }
}

impl Error for TimedOut {
    /// Returns where the function is defined.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0.task)
    }
}

pub(crate) const POOL_CLOSED: &str = "the pool is closed and accepts no more tasks";
pub(crate) const GROUP_JOINED: &str = "the group was joined and accepts no more tasks";

/// A run was refused before it started: its function was at its `limit`, with `on_full = "reject"`; or the run would
/// have deadlocked itself; or its pool was closed, or its group was joined.
///
/// A run deadlocks itself if it waits for a permit or slot that it, or a run that awaits it, holds, through inline
/// calls, `map` and `Group`. It would hang, at once or under load, so it is refused instead. If a permit is free, it is
/// acquired. Remedies: [Recursion, and limits](macro@crate::supervised#recursion-and-limits).
#[derive(Clone, PartialEq, Eq)]
pub struct Rejected(Box<RejectedRun>);

#[derive(Clone, PartialEq, Eq)]
struct RejectedRun {
    task: Origin,
    why: RejectedFor,
}

/// Why a run was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RejectedFor {
    Full { limit: usize },
    Deadlock(Deadlock),
    PoolClosed,
    GroupJoined,
}

/// The self-deadlock that was prevented.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Deadlock {
    limit: usize,
    chain: Box<[&'static str]>,
    what: Scarce,
}

/// The permit or slot that a run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scarce {
    Permit,
    Slot,
}

impl Rejected {
    fn new(task: Origin, why: RejectedFor) -> Self {
        Self(Box::new(RejectedRun { task, why }))
    }

    pub(crate) fn full(task: impl Into<Origin>, limit: usize) -> Self {
        Self::new(task.into(), RejectedFor::Full { limit })
    }

    pub(crate) fn deadlock(
        task: impl Into<Origin>,
        limit: usize,
        chain: Box<[&'static str]>,
        what: Scarce,
    ) -> Self {
        let deadlock = Deadlock { limit, chain, what };
        Self::new(task.into(), RejectedFor::Deadlock(deadlock))
    }

    /// The refusal of a spawn into a closed pool, or of a reservation, which is for no task.
    pub(crate) fn pool_closed(task: Option<Origin>) -> Self {
        let task = task.unwrap_or_else(|| Origin::from(Self::UNKNOWN));
        Self::new(task, RejectedFor::PoolClosed)
    }

    /// The refusal of a spawn into a group that was joined, which does not know the function.
    pub(crate) fn group_joined() -> Self {
        Self::new(Origin::from(Self::UNKNOWN), RejectedFor::GroupJoined)
    }

    const UNKNOWN: &'static str = "unknown";

    /// Returns this rejection for a call that may have a label.
    pub(crate) fn of_call(mut self, task: Origin) -> Self {
        self.0.task = task;
        self
    }

    /// The task's `name`.
    #[must_use]
    pub fn task(&self) -> &'static str {
        self.0.task.name()
    }

    /// The limit that was reached: of the function, or of the scope whose slot it needed. 0 if the pool was closed or the
    /// group was joined.
    #[must_use]
    pub fn limit(&self) -> usize {
        match &self.0.why {
            RejectedFor::Full { limit } => *limit,
            RejectedFor::Deadlock(deadlock) => deadlock.limit,
            RejectedFor::PoolClosed | RejectedFor::GroupJoined => 0,
        }
    }

    /// The chain of a run that would deadlock itself: the names from the run that holds the permit or the slot, through
    /// the runs that await each other, to the refused one. Empty if the run was refused for another reason.
    ///
    /// ```
    /// # use tokio_supervised::{supervised, CancellationToken, TaskError};
    /// #[supervised(limit = 1)]
    /// async fn walk(token: &CancellationToken, depth: u32) -> Result<u32, TaskError> {
    ///     if depth == 0 { Ok(0) } else { Ok(1 + Box::pin(walk(token, depth - 1)).await?) }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = walk(&CancellationToken::new(), 3).await.unwrap_err();
    /// let TaskError::Rejected(rejected) = error else { panic!("{error}") };
    /// assert_eq!(rejected.chain(), ["walk", "walk"]);
    /// # }
    /// ```
    #[must_use]
    pub fn chain(&self) -> &[&'static str] {
        match &self.0.why {
            RejectedFor::Deadlock(deadlock) => &deadlock.chain,
            _ => &[],
        }
    }
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = &*self.0;
        f.debug_struct("Rejected").field("task", &run.task).field("why", &run.why).finish()
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (task, title) = (self.task(), self.0.task.title());
        let deadlock = match &self.0.why {
            RejectedFor::Full { limit: 1 } => {
                return write!(f, "{title} was rejected: its only permit is taken");
            }
            RejectedFor::Full { limit } => {
                return write!(f, "{title} was rejected: all {limit} permits are taken");
            }
            RejectedFor::PoolClosed if task == Self::UNKNOWN => return f.write_str(POOL_CLOSED),
            RejectedFor::PoolClosed => return write!(f, "{title} was rejected: {POOL_CLOSED}"),
            RejectedFor::GroupJoined => return f.write_str(GROUP_JOINED),
            RejectedFor::Deadlock(deadlock) => deadlock,
        };
        let limit = deadlock.limit;
        write!(f, "{title} was rejected: self-deadlock (")?;
        for (at, name) in deadlock.chain.iter().enumerate() {
            let arrow = if at == 0 { "" } else { " -> " };
            write!(f, "{arrow}`{name}`")?;
        }
        match (deadlock.what, limit) {
            (Scarce::Permit, 1) => write!(f, "): the only permit of `{task}` is taken"),
            (Scarce::Permit, _) => write!(f, "): all {limit} permits of `{task}` are taken"),
            (Scarce::Slot, 1) => write!(f, "): the only slot of their scope is taken"),
            (Scarce::Slot, _) => write!(f, "): all {limit} slots of their scope are taken"),
        }
    }
}

impl Error for Rejected {
    /// Returns where the function is defined.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0.task)
    }
}
