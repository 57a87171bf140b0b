//! The number of messages by how they ended.

use std::fmt;

use tokio_supervised::{Outcome, TaskStats, stats};

/// The work of this process, from the counters of its supervised functions.
pub(crate) struct Report {
    taken: u64,
    ends: [(&'static str, u64); 5],
    acknowledged: u64,
}

impl Report {
    pub(crate) fn now() -> Self {
        let stats = stats();
        let of = |name| stats.iter().find(|task| task.name == name);
        let ended = |task: Option<&TaskStats>, outcome| task.map_or(0, |task| task.ended(outcome));
        let (handle, work) = (of("handle"), of("item price"));
        Self {
            taken: handle.map_or(0, |task| task.started),
            ends: [
                ("done", ended(work, Outcome::Ok)),
                ("failed", ended(work, Outcome::Error)),
                ("panicked", ended(work, Outcome::Panicked)),
                ("timed out", ended(work, Outcome::TimedOut)),
                // When the token fires, the message's handler is dropped, and the work with it.
                ("cut short", ended(handle, Outcome::Cancelled)),
            ],
            acknowledged: ended(of("acknowledge"), Outcome::Ok),
        }
    }

    pub(crate) fn all_acknowledged(&self) -> bool {
        self.acknowledged == self.taken
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} taken:", self.taken)?;
        for (name, count) in self.ends {
            write!(f, " {count} {name},")?;
        }
        write!(f, " {} acknowledged", self.acknowledged)
    }
}
