//! A live task, as it was at one moment.

use std::{fmt, panic::Location, sync::Arc, time::Duration};

use tokio::task::Id;

use crate::context::tree::{Activity, OnThread, TaskRecord};
use crate::{
    registry::age::Age,
    registry::name::Name,
    tuning::{Bracketed, Label},
};

/// A poll that takes this long blocks its worker: nothing else runs there meanwhile.
const BLOCKS: Duration = Duration::from_millis(10);

/// One live task, as it was when [`tasks()`](crate::tasks()) was called.
///
/// `Display` writes one line: `fetch (task 12): running, 4.1 s old, spawned at src/main.rs:12:9`.
/// If its call has a label: `fetch [10.0.0.7:5123] (task 12): …`.
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
    /// `waiting`: no thread has polled it yet, or it waits for its function's permit or for its restart.
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
        }
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
}

impl LiveTask {
    /// Writes its line, with another text for its state.
    pub(super) fn line(&self, f: &mut fmt::Formatter<'_>, state: impl fmt::Display) -> fmt::Result {
        let Self { name, age, spawned_at, .. } = self;
        write!(f, "{}{}", Name(name), Bracketed(self.label()))?;
        self.write_id(f)?;
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
