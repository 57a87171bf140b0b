//! The number of orders by how they ended.

use std::{fmt, sync::atomic::Ordering};

use tokio_supervised::{Outcome, stats};

use crate::sink::KNOWN;

/// The work of this process, from the counters of its supervised functions.
pub(crate) struct Report {
    taken: u64,
    ends: [(&'static str, u64); 4],
    reported: u64,
}

impl Report {
    pub(crate) fn now() -> Self {
        let stats = stats();
        let of = |name| stats.iter().find(|task| task.name == name);
        let ok = |name| of(name).map_or(0, |task| task.ended(Outcome::Ok));
        let known = KNOWN.load(Ordering::Relaxed);
        Self {
            taken: of("handle").map_or(0, |task| task.started),
            ends: [
                ("recorded", ok("record") - known),
                ("known", known),
                ("put back", ok("put back")),
                ("given up", ok("bury")),
            ],
            reported: ok("report"),
        }
    }

    /// The broker knows how each order ended.
    pub(crate) fn all_settled(&self) -> bool {
        self.reported == self.taken
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} taken:", self.taken)?;
        for (name, count) in self.ends {
            write!(f, " {count} {name},")?;
        }
        write!(f, " {} reported", self.reported)
    }
}
