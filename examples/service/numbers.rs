//! The counters of the components.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio_supervised::{Outcome, is_ready, stats};

/// Shared by all components: the server counts what it accepts before it is in the queue, the consumer what
/// it has done, so that `done` is never above `accepted`.
#[derive(Default)]
pub(crate) struct Numbers {
    accepted: AtomicU64,
    refused: AtomicU64,
    done: AtomicU64,
}

impl Numbers {
    pub(crate) fn accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn done(&self) {
        self.done.fetch_add(1, Relaxed);
    }

    /// One number on a line, and one line for each end of each supervised function.
    pub(crate) fn text(&self) -> String {
        // The later number is read first: in this order, no job is done before it is accepted.
        let done = self.done.load(Relaxed);
        let accepted = self.accepted.load(Relaxed);
        let refused = self.refused.load(Relaxed);
        let ready = u8::from(is_ready());
        let mut text = format!(
            "jobs_accepted {accepted}\njobs_refused {refused}\njobs_done {done}\nready {ready}\n"
        );
        for task in stats() {
            for outcome in [Outcome::Ok, Outcome::Error, Outcome::Panicked, Outcome::Cancelled] {
                let (name, ended) = (task.name, task.ended(outcome));
                _ = writeln!(text, "tasks_ended{{task=\"{name}\",outcome=\"{outcome}\"}} {ended}");
            }
        }
        text
    }
}
