//! The error of a leak check: what was left behind, and what to do about it.

use std::{error::Error, fmt};

use crate::testing::attempts::Summary;
use crate::{
    registry::age::Age, registry::live::LiveTask, registry::name::Name, registry::snapshot::Tasks,
};

/// How many tasks the message lists one by one.
const MOST_LISTED: usize = 20;

const USUAL_CAUSES: &str = "\
The usual causes:
  - a channel end that is kept: a task waits in `recv` for a sender that lives on in a variable, a static or
    the task itself. Drop every sender before the end, or fire the task's token.
  - a way out that passes by the join: `return`, `break`, a branch of `select!`. Join each group and drain
    each pool on every way out.
  - a wait for what never comes: a lock whose guard is kept, a reply, a timer while time is paused; or a loop
    without an `.await`. Put a timeout on the wait, or look at the token there.";

/// The tasks and threads that a leak check found.
///
/// `Display` lists each with its name, id, state, age, spawn place and parent, then the usual causes and how to allow
/// leaks.
#[derive(Clone, Debug)]
pub struct Leaks {
    pub(crate) test: Option<&'static str>,
    pub(crate) tasks: Tasks,
    pub(crate) unsupervised: usize,
    pub(crate) threads: usize,
    pub(crate) summary: Summary,
}

impl Leaks {
    /// The supervised tasks, parents before their children.
    #[must_use]
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The number of live tokio tasks that this crate did not spawn. tokio says no more about them.
    #[must_use]
    pub fn unsupervised(&self) -> usize {
        self.unsupervised
    }

    /// `2 tasks, 1 unsupervised task and 1 blocking thread`.
    fn count(&self) -> String {
        let of = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let parts: Vec<_> = [
            of(self.tasks.len(), "task", "tasks"),
            of(self.unsupervised, "unsupervised task", "unsupervised tasks"),
            of(self.threads, "blocking thread", "blocking threads"),
        ]
        .into_iter()
        .flatten()
        .collect();
        match parts.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
            None => "nothing".to_owned(),
        }
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count();
        match self.test {
            Some(test) => writeln!(f, "the test `{test}` is over, and left behind {count}:")?,
            None => writeln!(f, "the work is done, and left behind {count}:")?,
        }
        f.write_str("\n")?;
        for task in self.tasks.iter().take(MOST_LISTED) {
            writeln!(f, "  {task}{}", UnderParent(task))?;
        }
        if let Some(more @ 1..) = self.tasks.len().checked_sub(MOST_LISTED) {
            writeln!(f, "  … and {more} more")?;
        }
        match self.unsupervised {
            0 => {}
            1 => writeln!(f, "  1 unsupervised task: {UNSUPERVISED}")?,
            many => writeln!(f, "  {many} unsupervised tasks: {UNSUPERVISED}")?,
        }
        match self.threads {
            0 => {}
            1 => writeln!(f, "  1 blocking thread: {BLOCKING}")?,
            many => writeln!(f, "  {many} blocking threads: {BLOCKING}")?,
        }
        let Summary { times, within } = self.summary;
        writeln!(
            f,
            "\nLooked {times} times within {}: what ends a moment late is not in the list.\n",
            Age(within)
        )?;
        writeln!(f, "{USUAL_CAUSES}\n")?;
        match (self.test, self.tasks.iter().next()) {
            (Some(_), _) => f.write_str(
                "Where it is meant to live on: `#[supervised::test(leaks = \"allow\")]`.",
            ),
            (None, Some(task)) => write!(
                f,
                "Where it is meant to live on: make the `LeakCheck` after its start, or `.ignore(\"{}\")`.",
                task.name
            ),
            (None, None) => {
                f.write_str("Where it is meant to live on: make the `LeakCheck` after its start.")
            }
        }
    }
}

const UNSUPERVISED: &str = "\
from `tokio::spawn`, a `JoinSet` or a library, so that tokio alone knows of it.
    Spawn into a `Group` or a `Pool` to have it named here, or await its handle.";

const BLOCKING: &str = "\
from `tokio::task::spawn_blocking`, `tokio::fs` or the look-up of a name.
    Nothing can abort it: tell it to end, and await its handle.";

impl Error for Leaks {}

struct UnderParent<'a>(&'a LiveTask);

impl fmt::Display for UnderParent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.0.parent else { return Ok(()) };
        write!(f, ", under {}", Name(parent.name))?;
        match parent.id {
            Some(id) => write!(f, " (task {id})"),
            None => Ok(()),
        }
    }
}
