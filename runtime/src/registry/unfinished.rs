//! What did not stop when it was told to.

use std::{fmt, time::Duration};

use super::LiveTask;

/// The tasks that a [`Pool`](crate::Pool) could not drain: what had to be aborted, or what nothing can
/// abort.
///
/// `Display` has a line for each.
#[derive(Clone, Debug)]
pub struct Unfinished {
    grace: Duration,
    tasks: Vec<LiveTask>,
    reserved: usize,
}

impl Unfinished {
    pub(crate) fn new(grace: Duration, tasks: Vec<LiveTask>, reserved: usize) -> Self {
        Self { grace, tasks, reserved }
    }

    /// The tasks, in no particular order.
    #[must_use]
    pub fn tasks(&self) -> &[LiveTask] {
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
