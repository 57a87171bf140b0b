//! A live task, as it was at one moment.

use std::{fmt, panic::Location, time::Duration};

use tokio::task::Id;

use crate::context::tree::{Activity, OnThread, TaskRecord};
use crate::{registry::age::Age, registry::name::Name};

/// A poll that takes this long blocks its worker: nothing else runs there meanwhile.
const BLOCKS: Duration = Duration::from_millis(10);

/// One live task, as it was when [`tasks()`](crate::tasks()) looked.
///
/// `Display` writes one line: `fetch (task 12): running, 4.1 s old, spawned at src/main.rs:12:9`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LiveTask {
    /// The `name` of its function.
    pub name: &'static str,
    /// What tokio calls it; `None` for one that was being spawned at that moment, and for the body of
    /// `#[supervised::main]` or of a test, which is no task to tokio.
    pub id: Option<Id>,
    /// What it did.
    pub state: TaskState,
    /// The time since it was spawned; of a worker of a [`map`](crate::map()), since the run that it drives
    /// began.
    pub age: Duration,
    /// Where it was spawned, or where its `map` was called.
    pub spawned_at: &'static Location<'static>,
    /// The task that its group or map was made in; none for a pool's task, which outlives who spawned it.
    pub parent: Option<ParentTask>,
    /// How many live tasks are above it.
    pub depth: usize,
}

/// Whose task it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParentTask {
    /// The `name` of its function.
    pub name: &'static str,
    /// What tokio calls it, where it is a task to tokio.
    pub id: Option<Id>,
}

/// What a live task does. `Display` says it as the variants' texts do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// `waiting`: it has not begun, since no thread was free, or waits for its function's permit, or for its
    /// restart.
    Waiting,
    /// `running`: at an `.await`, or polled for less than 10 ms.
    Running,
    /// `polling for 3.2 s`: the poll under way has taken 10 ms or more, so that it blocks its worker.
    Polling(Duration),
    /// `blocking for 3.2 s`: it has had a thread of [`spawn_blocking`](crate::pool::Pool::spawn_blocking) for so
    /// long. Nothing but itself can stop it.
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
        }
    }
}

impl LiveTask {
    /// Its line, with another text for its state.
    pub(super) fn line(&self, f: &mut fmt::Formatter<'_>, state: impl fmt::Display) -> fmt::Result {
        let Self { name, age, spawned_at, .. } = self;
        write!(f, "{}", Name(name))?;
        if let Some(id) = self.id {
            write!(f, " (task {id})")?;
        }
        write!(f, ": {state}, {} old, spawned at {spawned_at}", Age(*age))
    }
}

impl fmt::Display for LiveTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state;
        match state {
            TaskState::Polling(_) => self.line(f, format_args!("{state} (blocks its worker)")),
            _ => self.line(f, state),
        }
    }
}

impl TaskState {
    /// Whether it holds a thread: a worker, so that other tasks wait, or one for work that blocks.
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
