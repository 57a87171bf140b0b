//! A live task, as it was at one moment.

use std::{fmt, panic::Location, sync::Arc, time::Duration};

use tokio::task::Id;

use crate::context::tree::{Activity, OnThread, TaskRecord};
use crate::{
    registry::age::Age,
    registry::name::Name,
    registry::waits::{AtLine, AwaitFrame, Waits},
    tuning::{Bracketed, Label},
};

/// A poll that takes this long blocks its worker: nothing else runs there meanwhile.
const BLOCKS: Duration = Duration::from_millis(10);

/// One live task, as it was when [`tasks()`](crate::tasks()) was called.
///
/// `Display` writes one line: `fetch (task 12): running, 4.1 s old, spawned at src/main.rs:12:9`.
/// If its call has a label: `fetch [10.0.0.7:5123] (task 12): …`. If it is pending, the line ends with
/// `, waits at src/fetch.rs:31 for 4.0 s`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LiveTask {
    /// The `name` of its function.
    pub name: &'static str,
    /// Its tokio id. `None` for a task that is being spawned, and for the body of `#[supervised::main]` or of a test,
    /// which is not a tokio task.
    pub id: Option<Id>,
    /// Its state.
    pub state: TaskState,
    /// The time since it was spawned. For a worker of a [`map`](crate::map()): since its current run started.
    pub age: Duration,
    /// The place where it was spawned, or where its `map` was called.
    pub spawned_at: &'static Location<'static>,
    /// The task that created its group or map. `None` for a pool's task, which may outlive its caller.
    pub parent: Option<ParentTask>,
    /// The number of its ancestors that are live.
    pub depth: usize,
    /// The service that it is the task of, with the names of the services around it: `api/cache`.
    pub service: Option<Arc<str>>,
    /// The name of the pool that it is a task of, if [`Pool::name`](crate::Pool::name) gave it one.
    pub pool: Option<&'static str>,
    pub(crate) label: Option<Label>,
    pub(crate) waits: Option<Arc<Waits>>,
}

/// The parent of a live task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParentTask {
    /// The `name` of its function.
    pub name: &'static str,
    /// Its tokio id, if it is a tokio task.
    pub id: Option<Id>,
}

/// The state of a live task. `Display` writes the text that each variant shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// `waiting`: no thread has polled it yet, or it waits for its function's permit, for its restart, or for
    /// the next tick of `every`.
    Waiting,
    /// `running`: at an `.await`, or polled for less than 10 ms.
    Running,
    /// `polling for 3.2 s`: the current poll has taken 10 ms or more. It blocks its worker.
    Polling(Duration),
    /// `blocking for 3.2 s`: it holds a thread of [`spawn_blocking`](crate::pool::Pool::spawn_blocking). Nothing else
    /// can stop it.
    Blocking(Duration),
    /// `stopping`: its token has fired, and it has not ended.
    Stopping,
}

impl LiveTask {
    pub(crate) fn of(record: &TaskRecord) -> Self {
        let state = match (record.activity(), record.thread()) {
            (Activity::Polled(since), OnThread::Blocking) => TaskState::Blocking(since),
            (Activity::Polled(since), _) if since >= BLOCKS => TaskState::Polling(since),
            (Activity::NotStarted | Activity::Waiting, _) => TaskState::Waiting,
            (Activity::Polled(_) | Activity::Pending, _) if record.is_stopping() => {
                TaskState::Stopping
            }
            (Activity::Polled(_) | Activity::Pending, _) => TaskState::Running,
        };
        Self {
            name: record.spec().name(),
            id: record.id(),
            state,
            age: record.age(),
            spawned_at: record.spawned_at(),
            parent: record
                .parent()
                .map(|parent| ParentTask { name: parent.name(), id: parent.id() }),
            depth: 0,
            service: record.scope().service().map(|service| service.path().clone()),
            pool: record.scope().name(),
            label: record.label(),
            waits: Waits::of(record).filter(|_| !record.is_finished()).map(Arc::new),
        }
    }

    /// A task that has ended, or ends now, with its last wait.
    pub(crate) fn ended(record: &TaskRecord) -> Self {
        Self { waits: Waits::last(record).map(Arc::new), ..Self::of(record) }
    }

    /// Writes the part after its name: ` (task 12, service api/cache)`.
    pub(super) fn write_id(&self, f: &mut impl fmt::Write) -> fmt::Result {
        match (&self.id, &self.service) {
            (None, None) => Ok(()),
            (Some(id), None) => write!(f, " (task {id})"),
            (None, Some(service)) => write!(f, " (service {})", Name(service)),
            (Some(id), Some(service)) => write!(f, " (task {id}, service {})", Name(service)),
        }
    }

    /// The text that [`Supervised::label`](crate::Supervised::label) gave its call.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.label.as_ref().map(Label::as_str)
    }

    /// The supervised calls that the task waits in, the outermost first: its own run, then the calls that are awaited
    /// inside. At most 8.
    ///
    /// Empty if the task is not pending at an `.await` whose line is known: it is being polled, waits for a permit or
    /// for its restart, or its function has `lines = false`. Calls of other functions are not part of the chain, and of
    /// several calls that are awaited at once, it has the one that was polled last.
    ///
    /// ```
    /// use tokio_supervised::{CancellationToken, Pool, TaskError, supervised, tasks};
    ///
    /// #[supervised]
    /// async fn handle(token: &CancellationToken) -> Result<(), TaskError> {
    ///     store(token).await
    /// }
    ///
    /// #[supervised]
    /// async fn store() -> Result<(), TaskError> {
    ///     std::future::pending().await
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::new(8);
    /// pool.spawn(|token| handle(token)).await?;
    /// tokio::task::yield_now().await; // it runs until it waits
    /// let tasks = tasks();
    /// let task = tasks.iter().find(|task| task.name == "handle").unwrap();
    /// let names: Vec<_> = task.frames().iter().map(|frame| frame.name).collect();
    /// assert_eq!(names, ["handle", "store"]);
    /// assert_eq!(task.waiting_at().unwrap().file, Some(file!()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn frames(&self) -> &[AwaitFrame] {
        self.waits.as_ref().map_or(&[], |waits| &waits.frames)
    }

    /// The innermost call whose line is known: the last of [`frames`](Self::frames) that has a line.
    #[must_use]
    pub fn waiting_at(&self) -> Option<&AwaitFrame> {
        self.waits.as_ref()?.innermost()
    }

    /// How long the task has waited there: since it reached the `.await` of one of its [`frames`](Self::frames). A loop
    /// that awaits at one line starts again with each turn.
    #[must_use]
    pub fn waiting_for(&self) -> Option<Duration> {
        self.waits.as_ref().map(|waits| waits.since)
    }
}

#[cfg(any(test, fuzzing))]
impl LiveTask {
    /// A task for the tests of what prints it.
    #[track_caller]
    pub(crate) fn example(name: &'static str, state: TaskState) -> Self {
        Self {
            name,
            id: None,
            state,
            age: Duration::ZERO,
            spawned_at: Location::caller(),
            parent: None,
            depth: 0,
            service: None,
            pool: None,
            label: None,
            waits: None,
        }
    }
}

impl LiveTask {
    /// Writes its line, with another text for its state.
    ///
    /// `verb` is "waits", or "waited" if the task has ended.
    pub(super) fn line(
        &self,
        f: &mut fmt::Formatter<'_>,
        state: impl fmt::Display,
        verb: &'static str,
    ) -> fmt::Result {
        let Self { name, age, spawned_at, .. } = self;
        write!(f, "{}{}", Name(name), Bracketed(self.label()))?;
        self.write_id(f)?;
        let at = AtLine { verb, waits: self.waits.as_deref() };
        write!(f, ": {state}, {} old, spawned at {spawned_at}{at}", Age(*age))
    }
}

impl fmt::Display for LiveTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state;
        match state {
            TaskState::Polling(_) => {
                self.line(f, format_args!("{state} (blocks its worker)"), "waits")
            }
            _ => self.line(f, state, "waits"),
        }
    }
}

impl TaskState {
    /// Returns whether the task holds a thread: a worker, so other tasks wait, or a thread for blocking work.
    #[must_use]
    pub fn blocks_thread(&self) -> bool {
        matches!(self, Self::Polling(_) | Self::Blocking(_))
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.pad("waiting"),
            Self::Running => f.pad("running"),
            Self::Polling(since) => f.pad(&format!("polling for {}", Age(*since))),
            Self::Blocking(since) => f.pad(&format!("blocking for {}", Age(*since))),
            Self::Stopping => f.pad("stopping"),
        }
    }
}
