//! What did not stop when it was told to.

use std::{fmt, panic::Location, time::Duration};

/// The tasks that a [`Pool`](crate::Pool) could not drain: what had to be aborted, or what nothing can
/// abort.
///
/// `Display` has a line for each.
#[derive(Clone, Debug)]
pub struct Unfinished {
    grace: Duration,
    tasks: Vec<UnfinishedTask>,
    reserved: usize,
}

impl Unfinished {
    pub(crate) fn new(grace: Duration, tasks: Vec<UnfinishedTask>, reserved: usize) -> Self {
        Self { grace, tasks, reserved }
    }

    /// The tasks, in no particular order.
    #[must_use]
    pub fn tasks(&self) -> &[UnfinishedTask] {
        &self.tasks
    }

    /// Slots that were reserved and neither used nor dropped: work that was accepted and never came.
    #[must_use]
    pub fn reserved(&self) -> usize {
        self.reserved
    }

    /// The time that the drain had.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.grace
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (grace, tasks) = (self.grace, self.tasks.len());
        match (tasks, self.reserved) {
            (0, 1) => return write!(f, "1 reserved slot was not used within {grace:?}"),
            (0, slots) => {
                return write!(f, "{slots} reserved slots were not used within {grace:?}");
            }
            (1, _) => write!(f, "1 task did not stop within {grace:?}:")?,
            (tasks, _) => write!(f, "{tasks} tasks did not stop within {grace:?}:")?,
        }
        for task in &self.tasks {
            write!(f, "\n  {task}")?;
        }
        match self.reserved {
            0 => Ok(()),
            1 => f.write_str("\n  and 1 reserved slot was not used"),
            slots => write!(f, "\n  and {slots} reserved slots were not used"),
        }
    }
}

impl std::error::Error for Unfinished {}

/// One task that did not stop.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnfinishedTask {
    /// The `name` of its function.
    pub name: &'static str,
    /// What tokio calls it; `None` for a task that was being spawned at that moment.
    pub id: Option<tokio::task::Id>,
    /// The time since it was spawned.
    pub age: Duration,
    /// Where it was spawned.
    pub place: &'static Location<'static>,
    /// Whether it held a thread at that moment: a worker, by a poll that had not returned, or a thread of
    /// its own. Else it was pending at an `.await`, or had not begun.
    pub blocks_thread: bool,
    pub(crate) activity: Activity,
}

/// What a task does with a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Nothing yet: it has not been polled, since no worker was free for it.
    NotBegun,
    /// Nothing.
    Waits,
    /// It is being polled.
    Polled,
    /// It is in the queue of the blocking threads.
    Queued,
    /// It has a blocking thread.
    Blocking,
}

impl fmt::Display for UnfinishedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, age, place, .. } = self;
        write!(f, "{name}")?;
        if let Some(id) = self.id {
            write!(f, " (task {id})")?;
        }
        let does = match self.activity {
            Activity::NotBegun => "has not begun",
            Activity::Waits => "waits at an .await",
            Activity::Polled => "blocks its worker",
            Activity::Queued => "waits for a blocking thread",
            Activity::Blocking => "blocks a blocking thread",
        };
        write!(f, ": {does}, {age:.1?} old, spawned at {place}")
    }
}
