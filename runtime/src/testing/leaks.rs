//! The error of a leak check: the leaked tasks, the common causes, and how to allow leaks.

use std::{error::Error, fmt};

use crate::testing::attempts::Summary;
use crate::{
    registry::age::Age,
    registry::fold::{Line, Lines, fold},
    registry::live::LiveTask,
    registry::name::Name,
    registry::snapshot::Tasks,
};

/// How many lines of tasks the message has.
const MOST_LISTED: usize = 20;

const COMMON_CAUSES: &str = "\
Common causes:
  - a sender that is kept alive: a task waits in `recv`, and a variable, a static or the task itself still
    holds a sender. Drop every sender before the test ends, or cancel the task's token.
  - an early exit that skips the `join`: `return`, `break`, a branch of `select!`. Join each group and drain
    each pool on every path.
  - a wait that never ends: for a lock whose guard is held, a reply that never comes, a timer while time is
    paused; or a loop without an `.await`. Add a timeout, or check the token in the loop.";

/// The tasks and threads that a leak check found.
///
/// `Display` lists each with its name, id, state, age, spawn place, the line that it waits at, and parent, then the common
/// causes and how to allow leaks. Of more than 11 tasks of one function that wait at one line, those after the tenth share a
/// line with their count.
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

    /// The number of live tokio tasks that this crate did not spawn. tokio exposes no more about them.
    #[must_use]
    pub fn unsupervised(&self) -> usize {
        self.unsupervised
    }

    /// `2 tasks, 1 untracked tokio task and 1 blocking thread`.
    fn count(&self) -> String {
        let of = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let parts: Vec<_> = [
            of(self.tasks.len(), "task", "tasks"),
            of(self.unsupervised, "untracked tokio task", "untracked tokio tasks"),
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
            Some(test) => writeln!(f, "test `{test}` leaked {count}:")?,
            None => writeln!(f, "leaked {count}:")?,
        }
        f.write_str("\n")?;
        let list: Vec<_> = self.tasks.iter().collect();
        let parent = |task: &LiveTask| task.parent.map(|parent| parent.name);
        let Lines { lines, left_out } = fold(&list, MOST_LISTED, |task| task, parent);
        for line in &lines {
            match line {
                Line::One(task) => writeln!(f, "  {task}{}", UnderParent(task))?,
                Line::More(alike, _) => writeln!(f, "  … {alike}")?,
            }
        }
        if left_out > 0 {
            writeln!(f, "  … and {left_out} more")?;
        }
        match self.unsupervised {
            0 => {}
            1 => writeln!(f, "  1 untracked tokio task, {UNTRACKED}")?,
            many => writeln!(f, "  {many} untracked tokio tasks, {UNTRACKED}")?,
        }
        match self.threads {
            0 => {}
            1 => writeln!(f, "  1 blocking thread, {BLOCKING}")?,
            many => writeln!(f, "  {many} blocking threads, {BLOCKING}")?,
        }
        let Summary { times, within } = self.summary;
        writeln!(
            f,
            "\nChecked {times} times within {}: tasks that ended meanwhile are not listed.\n",
            Age(within)
        )?;
        writeln!(f, "{COMMON_CAUSES}\n")?;
        match (self.test, self.tasks.iter().next()) {
            (Some(_), _) => f.write_str(
                "To allow leaks in this test, write `#[supervised::test(leaks = \"allow\")]`.",
            ),
            (None, Some(task)) => write!(
                f,
                "If it must keep running, create the `LeakCheck` after it starts, or call `.ignore(\"{}\")`.",
                task.name
            ),
            (None, None) => {
                f.write_str("If it must keep running, create the `LeakCheck` after it starts.")
            }
        }
    }
}

const UNTRACKED: &str = "\
from `tokio::spawn`, a `JoinSet` or a library.
    Spawn it into a `Group` or a `Pool` to see its name here, or await its handle.";

const BLOCKING: &str = "\
from `tokio::task::spawn_blocking`, `tokio::fs` or a DNS lookup.
    It cannot be aborted: signal it to stop, and await its handle.";

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
