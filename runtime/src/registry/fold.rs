//! Folds tasks that are alike into one line with their count: of one name and place, and at one `.await`.
//!
//! A list of tasks is folded by [`fold`], the tree of the live tasks by `registry/tree.rs`.

use std::{collections::HashMap, fmt, hash::Hash, panic::Location, time::Duration};

use crate::{
    registry::age::Age,
    registry::live::{LiveTask, TaskState},
    registry::name::Name,
    registry::waits::AwaitFrame,
};

/// How many alike tasks get a line each.
pub(crate) const MOST_ALIKE: usize = 10;

/// What alike tasks have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    name: &'static str,
    /// By its address: comparing texts takes too long for a million tasks.
    spawned_at: *const Location<'static>,
    waits_at: Option<(&'static str, u32)>,
}

impl Kind {
    pub(crate) fn of(task: &LiveTask) -> Self {
        Self { name: task.name, spawned_at: task.spawned_at, waits_at: waits_at(task) }
    }
}

/// The innermost line that a task waits at.
fn waits_at(task: &LiveTask) -> Option<(&'static str, u32)> {
    task.waiting_at().and_then(AwaitFrame::place)
}

/// Entries by kind, in the order of the first one of each.
pub(crate) fn by_kind<K: Eq + Hash, E>(entries: impl Iterator<Item = (K, E)>) -> Vec<Vec<E>> {
    let mut kinds: Vec<Vec<E>> = Vec::new();
    let mut index = HashMap::new();
    for (kind, entry) in entries {
        let at = *index.entry(kind).or_insert(kinds.len());
        if at == kinds.len() {
            kinds.push(Vec::new());
        }
        kinds[at].push(entry);
    }
    kinds
}

/// Splits off the tasks that are counted on one line instead of listed. One task is listed: a count would not be shorter.
pub(crate) fn split_rest<E>(alike: &mut Vec<E>, most: usize) -> Vec<E> {
    if alike.len() > most + 1 { alike.split_off(most) } else { Vec::new() }
}

/// Alike tasks that are counted, with the tasks below them.
///
/// `Display` writes `4,812 × connection at src/server.rs:88, oldest 3 h 12 m`.
#[derive(Clone)]
pub(crate) struct Alike {
    pub(crate) name: &'static str,
    pub(crate) count: usize,
    /// How many tasks are below them in a tree.
    pub(crate) below: usize,
    pub(crate) oldest: Duration,
    /// How many of all these block their worker.
    pub(crate) blocking: usize,
    /// The line that they wait at, if it is known.
    pub(crate) waits_at: Option<(&'static str, u32)>,
}

impl Alike {
    /// Counts tasks of one kind. `None` if there are none.
    pub(crate) fn of<'a>(tasks: impl Iterator<Item = &'a LiveTask>) -> Option<Self> {
        let mut alike: Option<Self> = None;
        for task in tasks {
            let counted = alike.get_or_insert(Self {
                name: task.name,
                count: 0,
                below: 0,
                oldest: Duration::ZERO,
                blocking: 0,
                waits_at: waits_at(task),
            });
            counted.count += 1;
            counted.oldest = counted.oldest.max(task.age);
            counted.blocking += usize::from(matches!(task.state, TaskState::Polling(_)));
        }
        alike
    }

    /// The text with another form of the name.
    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>, name: impl fmt::Display) -> fmt::Result {
        write!(f, "{} × {name}", Thousands(self.count))?;
        if let Some((file, line)) = self.waits_at {
            write!(f, " at {file}:{line}")?;
        }
        if self.below > 0 {
            write!(f, ", with {} below", Thousands(self.below))?;
        }
        if self.blocking > 0 {
            let verb = if self.blocking == 1 { "blocks its worker" } else { "block their workers" };
            write!(f, ", {} polling ({verb})", Thousands(self.blocking))?;
        }
        write!(f, ", oldest {}", Age(self.oldest))
    }
}

impl fmt::Display for Alike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, Name(self.name))
    }
}

/// `4,812`
pub(crate) struct Thousands(pub(crate) usize);

impl fmt::Display for Thousands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at) % 3 == 0 {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// One line of a list.
pub(crate) enum Line<T> {
    One(T),
    /// Alike tasks, and one of them.
    More(Alike, T),
}

/// The lines of a list, and how many tasks have none.
pub(crate) struct Lines<T> {
    pub(crate) lines: Vec<Line<T>>,
    pub(crate) left_out: usize,
}

/// Folds a list, in its order, to at most `most` lines. What `and` returns must be equal too.
pub(crate) fn fold<'a, T: Copy, K: Eq + Hash>(
    list: &[T],
    most: usize,
    task: impl Fn(T) -> &'a LiveTask,
    and: impl Fn(T) -> K,
) -> Lines<T> {
    let entries = list.iter().enumerate();
    let mut placed = Vec::new();
    for mut alike in by_kind(entries.map(|(at, entry)| ((Kind::of(task(*entry)), and(*entry)), at)))
    {
        let rest = split_rest(&mut alike, MOST_ALIKE);
        let last = alike.last().copied();
        placed.extend(alike.into_iter().map(|at| ((at, false), Line::One(list[at]))));
        let counted = Alike::of(rest.iter().map(|at| task(list[*at])));
        if let (Some(counted), Some(last)) = (counted, last) {
            placed.push(((last, true), Line::More(counted, list[last])));
        }
    }
    placed.sort_unstable_by_key(|(place, _)| *place);
    let mut lines: Vec<_> = placed.into_iter().map(|(_, line)| line).collect();
    let cut = lines.split_off(most.min(lines.len()));
    let left_out = cut.iter().map(|line| match line {
        Line::One(_) => 1,
        Line::More(alike, _) => alike.count,
    });
    Lines { left_out: left_out.sum(), lines }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::registry::waits::Waits;

    /// Connections that wait at these lines, each older than the one before.
    fn connections(lines: impl IntoIterator<Item = u32>) -> Vec<LiveTask> {
        let task = LiveTask::example("connection", TaskState::Running);
        let waits = |line| Some(Arc::new(Waits::at("connection", "src/server.rs", line)));
        let aged = lines.into_iter().enumerate().map(|(at, line)| LiveTask {
            age: Duration::from_secs(at as u64),
            waits: waits(line),
            ..task.clone()
        });
        aged.collect()
    }

    fn texts(tasks: &[LiveTask], most: usize) -> (Vec<String>, usize) {
        let list: Vec<_> = tasks.iter().collect();
        let Lines { lines, left_out } =
            fold(&list, most, |task| task, |task| task.state.blocks_thread());
        let text = |line: &Line<&LiveTask>| match line {
            Line::One(task) => task.age.as_secs().to_string(),
            Line::More(alike, _) => alike.to_string(),
        };
        (lines.iter().map(text).collect(), left_out)
    }

    #[test]
    fn tasks_at_one_line_are_folded_with_their_count() {
        let tasks = connections([[88; 4_822].as_slice(), &[31; 2]].concat());
        let (lines, left_out) = texts(&tasks, 64);
        assert_eq!((lines.len(), left_out), (10 + 1 + 2, 0));
        assert_eq!(
            lines[9..],
            ["9", "4,812 × connection at src/server.rs:88, oldest 1 h 20 m", "4822", "4823"]
        );
        assert_eq!(texts(&tasks, 11).1, 2);
        assert_eq!(texts(&tasks, 10).1, 4_814);
    }

    #[test]
    fn a_line_that_counts_one_task_is_not_written() {
        let lines = texts(&connections([88; 11]), 64).0;
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[10], "10");
    }

    #[test]
    fn tasks_that_differ_otherwise_are_not_folded_together() {
        let mut tasks = connections([88; 24]);
        let polling = TaskState::Polling(Duration::from_secs(3));
        tasks.iter_mut().skip(1).step_by(2).for_each(|task| task.state = polling);
        let lines = texts(&tasks, 64).0;
        assert_eq!(
            lines[18..],
            [
                "18",
                "2 × connection at src/server.rs:88, oldest 22.0 s",
                "19",
                "2 × connection at src/server.rs:88, 2 polling (block their workers), oldest 23.0 s"
            ]
        );
    }

    #[test]
    fn a_count_has_separators() {
        let texts = [0, 999, 1_000, 4_812, 1_234_567].map(|count| Thousands(count).to_string());
        assert_eq!(texts, ["0", "999", "1,000", "4,812", "1,234,567"]);
    }
}
