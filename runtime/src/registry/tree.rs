//! Draws the live tasks as a tree: a line for each, and one line for many that are alike.

use std::{fmt, ops::Range};

use crate::{
    registry::age::Age,
    registry::fold::{Alike, Kind, MOST_ALIKE, Thousands, by_kind, split_rest},
    registry::live::{LiveTask, TaskState},
    registry::name::Name,
    registry::snapshot::Tasks,
    tuning::Bracketed,
};

/// Deeper lines show a number instead of strokes. This bounds the width of a line, and keeps the text linear in the
/// depth.
const MOST_INDENTED: usize = 32;

/// One line of the tree.
pub(crate) enum TreeLine<'a> {
    /// A named pool, above its tasks.
    Pool(PoolLine),
    /// A task, and its depth among the lines.
    Task(&'a LiveTask, usize),
    /// Siblings that are not drawn, and their depth.
    More(Alike, usize),
}

/// A named pool that has tasks, or several pools of one name.
#[derive(Clone)]
pub(crate) struct PoolLine {
    pub(crate) name: &'static str,
    pub(crate) tasks: usize,
}

impl TreeLine<'_> {
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Pool(_) => 0,
            Self::Task(_, depth) | Self::More(_, depth) => *depth,
        }
    }
}

/// Folds siblings of one name and place that wait at one line: `most_alike` of them get a line each, those with a task that blocks its worker
/// first, then the oldest. One line after them counts the others.
pub(crate) fn fold_alike(tasks: &Tasks, most_alike: usize) -> Vec<TreeLine<'_>> {
    let tasks = &tasks.0;
    let ends = subtree_ends(tasks);
    let blocking = Blocking::of(tasks);
    let mut lines = Vec::new();
    // The entries that remain to be drawn, the next one last: a task with its descendants, or a line for many.
    let mut ahead = Vec::new();
    for (pool, range) in pools_of(tasks, &ends) {
        let indent = usize::from(pool.is_some());
        lines.extend(pool.map(TreeLine::Pool));
        push_siblings(&mut ahead, tasks, &ends, &blocking, range, most_alike);
        while let Some(next) = ahead.pop() {
            match next {
                Ahead::Task(at) => {
                    lines.push(TreeLine::Task(&tasks[at], tasks[at].depth + indent));
                    let below = at + 1..ends[at];
                    push_siblings(&mut ahead, tasks, &ends, &blocking, below, most_alike);
                }
                Ahead::More(alike, depth) => lines.push(TreeLine::More(alike, depth + indent)),
            }
        }
    }
    lines
}

/// Returns the parts of the tree: the roots that are in no named pool, and those of each named pool, which are adjacent.
fn pools_of(tasks: &[LiveTask], ends: &[usize]) -> Vec<(Option<PoolLine>, Range<usize>)> {
    let mut parts: Vec<(Option<PoolLine>, Range<usize>)> = Vec::new();
    let mut at = 0;
    while let Some(task) = tasks.get(at) {
        let end = ends[at];
        match parts.last_mut() {
            Some((pool, range)) if pool.as_ref().map(|pool| pool.name) == task.pool => {
                pool.iter_mut().for_each(|pool| pool.tasks += 1);
                range.end = end;
            }
            _ => parts.push((task.pool.map(|name| PoolLine { name, tasks: 1 }), at..end)),
        }
        at = end;
    }
    parts
}

enum Ahead {
    Task(usize),
    More(Alike, usize),
}

/// Returns for each task the end of its descendants.
fn subtree_ends(tasks: &[LiveTask]) -> Vec<usize> {
    let mut ends = vec![tasks.len(); tasks.len()];
    let mut open: Vec<usize> = Vec::new();
    for (at, task) in tasks.iter().enumerate() {
        while open.last().is_some_and(|above| tasks[*above].depth >= task.depth) {
            if let Some(closed) = open.pop() {
                ends[closed] = at;
            }
        }
        open.push(at);
    }
    ends
}

/// How many of the tasks before each place block their worker.
struct Blocking(Vec<usize>);

impl Blocking {
    fn of(tasks: &[LiveTask]) -> Self {
        let mut so_far = 0;
        let counts = tasks.iter().map(|task| {
            so_far += usize::from(matches!(task.state, TaskState::Polling(_)));
            so_far
        });
        Self([0].into_iter().chain(counts).collect())
    }

    fn within(&self, range: &Range<usize>) -> usize {
        self.0[range.end] - self.0[range.start]
    }
}

/// Pushes the siblings of a range, and the line that counts the folded ones.
fn push_siblings(
    ahead: &mut Vec<Ahead>,
    tasks: &[LiveTask],
    ends: &[usize],
    blocking: &Blocking,
    range: Range<usize>,
    most_alike: usize,
) {
    let mut at = range.start;
    let siblings = std::iter::from_fn(|| {
        let sibling = (at < range.end).then_some(at)?;
        at = ends[sibling];
        Some((Kind::of(&tasks[sibling]), sibling))
    });
    for mut siblings in by_kind(siblings).into_iter().rev() {
        let subtree = |at: usize| at..ends[at];
        // Stable: among equals the oldest stay in front.
        siblings.sort_by_key(|at| blocking.within(&subtree(*at)) == 0);
        let rest = split_rest(&mut siblings, most_alike);
        if let Some(alike) = Alike::of(rest.iter().map(|at| &tasks[*at])) {
            let below = rest.iter().map(|at| ends[*at] - at - 1).sum();
            let blocking = rest.iter().map(|at| blocking.within(&subtree(*at))).sum();
            let depth = tasks[rest[0]].depth;
            ahead.push(Ahead::More(Alike { below, blocking, ..alike }, depth));
        }
        siblings.sort_unstable();
        ahead.extend(siblings.into_iter().rev().map(Ahead::Task));
    }
}

/// For each line the strokes before it: `│  ├─ `, or `33 deep: `.
fn strokes(lines: &[TreeLine<'_>]) -> Vec<String> {
    // Whether a line of that depth follows, before one further out.
    let mut follows: Vec<bool> = Vec::new();
    let mut strokes: Vec<_> = lines
        .iter()
        .rev()
        .map(|line| {
            let depth = line.depth();
            let another = follows.get(depth).copied().unwrap_or(false);
            follows.resize(depth, false);
            follows.push(true);
            if depth > MOST_INDENTED {
                return format!("{depth} deep: ");
            }
            let mut strokes = String::new();
            for above in follows.iter().take(depth).skip(1) {
                strokes.push_str(if *above { "│  " } else { "   " });
            }
            if depth > 0 {
                strokes.push_str(if another { "├─ " } else { "└─ " });
            }
            strokes
        })
        .collect();
    strokes.reverse();
    strokes
}

impl fmt::Display for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = fold_alike(self, MOST_ALIKE);
        if lines.is_empty() {
            return f.write_str("no live tasks");
        }
        let head = ["task", "state", "age", "spawned at", "waits at"].map(String::from);
        let mut table = vec![head];
        for (line, strokes) in lines.iter().zip(strokes(&lines)) {
            table.push(cells(line, &strokes));
        }
        let width = |column: usize| {
            table.iter().map(|cells: &[String; 5]| cells[column].chars().count()).max().unwrap_or(0)
        };
        let (task, state, age, place) = (width(0), width(1), width(2), width(3));
        for (at, cells) in table.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            let [name, does, old, spawned_at, waits] = cells;
            let line =
                format!("{name:task$}  {does:state$}  {old:>age$}  {spawned_at:place$}  {waits}");
            f.write_str(line.trim_end())?;
        }
        Ok(())
    }
}

fn cells(line: &TreeLine<'_>, strokes: &str) -> [String; 5] {
    match line {
        TreeLine::Pool(PoolLine { name, tasks }) => {
            let tasks = format!("{tasks} task{}", if *tasks == 1 { "" } else { "s" });
            [format!("{} (pool)", Name(name)), tasks, String::new(), String::new(), String::new()]
        }
        TreeLine::Task(task, _) => {
            let LiveTask { name, state, age, spawned_at, .. } = task;
            let mut name = format!("{strokes}{}{}", Name(name), Bracketed(task.label()));
            task.write_id(&mut name).expect("a String takes what is written");
            let waits = task.waits.as_deref();
            let waits = waits.map(|waits| format!("{waits}, {}", Age(waits.since)));
            let (state, age) = (state.to_string(), Age(*age).to_string());
            [name, state, age, spawned_at.to_string(), waits.unwrap_or_default()]
        }
        TreeLine::More(Alike { name, count, below, oldest, blocking, waits_at }, _) => {
            let below = match below {
                0 => String::new(),
                below => format!(", with {} below", Thousands(*below)),
            };
            let blocking = match blocking {
                0 => String::new(),
                blocking => format!("{blocking} polling"),
            };
            let name = format!("{strokes}… {} × {}{below}", Thousands(*count), Name(name));
            let waits = waits_at.map(|(file, line)| format!("{file}:{line}"));
            let oldest = format!("≤ {}", Age(*oldest));
            [name, blocking, oldest, String::new(), waits.unwrap_or_default()]
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{panic::Location, sync::Arc, time::Duration};

    use super::*;
    use crate::registry::waits::Waits;

    /// Tasks of one name and place, each at a depth; those of the age 0 block their worker.
    fn tasks(of: &[(usize, u64)]) -> Tasks {
        let spawned_at = Location::caller();
        let each = of.iter().map(|(depth, age)| {
            let age = Duration::from_secs(*age);
            let state = if age.is_zero() { TaskState::Polling(age) } else { TaskState::Running };
            LiveTask { age, spawned_at, depth: *depth, ..LiveTask::example("alike", state) }
        });
        Tasks(each.collect())
    }

    /// `depth:age` of a task, `depth:count/below/oldest/blocking` of a line for many.
    fn drawn(of: &[(usize, u64)], most_alike: usize) -> Vec<String> {
        let drawn_line = |line: &TreeLine<'_>| match line {
            TreeLine::Pool(pool) => format!("{}:{}", pool.name, pool.tasks),
            TreeLine::Task(task, depth) => format!("{depth}:{}", task.age.as_secs()),
            TreeLine::More(Alike { count, below, oldest, blocking, .. }, depth) => {
                format!("{depth}:{count}/{below}/{}/{blocking}", oldest.as_secs())
            }
        };
        fold_alike(&tasks(of), most_alike).iter().map(drawn_line).collect()
    }

    #[test]
    fn a_single_task_is_never_folded() {
        assert_eq!(drawn(&[(0, 9), (0, 8), (0, 7)], 2), ["0:9", "0:8", "0:7"]);
        assert_eq!(drawn(&[(0, 9), (0, 8), (0, 7), (0, 6)], 2), ["0:9", "0:8", "0:2/0/7/0"]);
    }

    #[test]
    fn tasks_are_folded_by_the_line_that_they_wait_at() {
        let mut tasks = tasks(&[(0, 9); 7]).0;
        for (task, line) in tasks.iter_mut().zip([31, 88, 31, 88, 31, 88, 88]) {
            task.waits = Some(Arc::new(Waits::at("alike", "src/a.rs", line)));
        }
        let tasks = Tasks(tasks);
        let folded = fold_alike(&tasks, 1);
        let more = folded.iter().filter_map(|line| match line {
            TreeLine::More(alike, _) => Some((alike.count, alike.waits_at)),
            TreeLine::Task(..) | TreeLine::Pool(_) => None,
        });
        let at = |line| Some(("src/a.rs", line));
        assert_eq!(more.collect::<Vec<_>>(), [(2, at(31)), (3, at(88))]);
        let drawn = tasks.to_string();
        assert!(drawn.lines().nth(1).is_some_and(|line| line.ends_with("  src/a.rs:31, 3.0 s")));
    }

    #[test]
    fn a_subtree_that_blocks_its_worker_is_drawn_first() {
        let of = [(0, 9), (1, 8), (0, 7), (1, 0), (0, 6), (1, 5), (0, 4), (1, 3)];
        assert_eq!(drawn(&of, 1), ["0:7", "1:0", "0:3/3/9/0"]);
    }

    #[test]
    fn a_folded_line_counts_its_subtrees_and_blocked_workers() {
        let of = [(0, 9), (0, 0), (1, 0), (2, 5), (0, 0), (1, 4), (0, 7), (1, 0), (1, 2)];
        assert_eq!(drawn(&of, 1), ["0:0", "1:0", "2:5", "0:3/3/9/2"]);
    }

    #[test]
    fn the_tasks_of_a_named_pool_are_below_it() {
        let mut of = tasks(&[(0, 9), (0, 8), (1, 7), (0, 6), (0, 5), (0, 4)]);
        of.0[1].pool = Some("saves");
        of.0[3..].iter_mut().for_each(|task| task.pool = Some("sends"));
        let lines = fold_alike(&of, 1);
        let depths: Vec<_> = lines.iter().map(TreeLine::depth).collect();
        assert_eq!(depths, [0, 0, 1, 2, 0, 1, 1]);
        let drawn = of.to_string();
        let names = [
            "alike",
            "saves (pool)",
            "└─ alike",
            "   └─ alike",
            "sends (pool)",
            "├─ alike",
            "├─ alike",
            "└─ alike",
        ];
        for (line, name) in drawn.lines().skip(1).zip(names) {
            assert!(line.starts_with(&format!("{name} ")), "{drawn}");
        }
        assert_eq!(drawn.lines().count(), 1 + names.len());
        assert!(drawn.contains("saves (pool)  1 task\n"), "{drawn}");
        assert!(drawn.contains("sends (pool)  3 tasks\n"), "{drawn}");
    }

    #[track_caller]
    fn named(name: &'static str, depth: usize, state: TaskState) -> LiveTask {
        LiveTask { depth, ..LiveTask::example(name, state) }
    }

    #[test]
    fn strokes_lead_from_each_task_to_its_parent() {
        let tree = [("a", 0), ("b", 1), ("c", 2), ("d", 1), ("e", 2), ("f", 0)];
        let tree = tree.map(|(name, depth)| named(name, depth, TaskState::Running));
        let drawn = Tasks(tree.into()).to_string();
        let names =
            drawn.lines().skip(1).map(|line| line.split_once("  running").unwrap_or_default().0);
        let names: Vec<_> = names.map(str::trim_end).collect();
        assert_eq!(names, ["a", "├─ b", "│  └─ c", "└─ d", "   └─ e", "f"]);
    }

    #[test]
    fn a_task_too_deep_for_strokes_shows_its_depth() {
        let each = (0..35).map(|depth| named("n", depth, TaskState::Running));
        let drawn = Tasks(each.collect()).to_string();
        let lines: Vec<_> = drawn.lines().collect();
        assert!(lines[33].starts_with(&format!("{}└─ n ", "   ".repeat(31))), "{}", lines[33]);
        assert!(lines[34].starts_with("33 deep: n "), "{}", lines[34]);
    }

    #[test]
    fn the_text_is_linear_in_the_depth() {
        let size = |deepest: usize| {
            let each = (0..deepest).map(|depth| named("n", depth, TaskState::Running));
            Tasks(each.collect()).to_string().len()
        };
        let (small, large) = (size(2_200), size(22_000));
        assert!(large < 11 * small, "{small} {large}");
    }

    #[test]
    fn a_folded_line_counts_tasks_that_block_their_worker() {
        let blocks = TaskState::Polling(Duration::from_secs(1));
        let each = || [named("alike", 0, blocks), named("child", 1, TaskState::Running)];
        let drawn = Tasks((0..MOST_ALIKE + 5).flat_map(|_| each()).collect()).to_string();
        assert_eq!(drawn.lines().count(), 1 + 2 * MOST_ALIKE + 1);
        let last = drawn.lines().last().unwrap_or_default();
        assert!(last.starts_with("… 5 × alike, with 5 below "), "{last}");
        assert!(last.contains(" 5 polling "), "{last}");
    }

    #[test]
    fn no_tasks_are_a_line_of_text() {
        assert_eq!(Tasks(Vec::new()).to_string(), "no live tasks");
    }
}
