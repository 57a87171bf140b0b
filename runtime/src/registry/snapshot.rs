//! All live tasks at one moment, parents before their children.

use std::{cmp::Reverse, collections::HashMap, slice, sync::Arc};

use crate::context::tree::TaskRecord;
use crate::{registry::SCOPES, registry::live::LiveTask};

/// The live tasks, parents before their children: see [`tasks()`](crate::tasks()).
///
/// `Display` draws a tree with a line for each task. Of many alike siblings that wait at one line, it shows the ones that
/// block their worker and the oldest, and counts the rest. The tasks of a pool that has a name follow the other tasks,
/// below a line for the pool.
#[derive(Clone, Debug)]
pub struct Tasks(pub(crate) Vec<LiveTask>);

impl Tasks {
    /// Iterates over the tasks. Each is followed by its children, whose [`depth`](LiveTask::depth) is greater.
    pub fn iter(&self) -> slice::Iter<'_, LiveTask> {
        self.0.iter()
    }

    /// Returns the number of tasks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no tasks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Tasks {
    type Item = &'a LiveTask;
    type IntoIter = slice::Iter<'a, LiveTask>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Returns the records of the live tasks, scope by scope.
pub(crate) fn live() -> Vec<Arc<TaskRecord>> {
    let mut records = Vec::new();
    for scope in SCOPES.all() {
        scope.records(&mut records);
    }
    records
}

pub(crate) fn tasks() -> Tasks {
    tree_of(&live())
}

/// Puts each task after its parent, and siblings in the order of their ages.
///
/// A task whose parent has ended counts as a root: its group was moved out of the parent. The tasks of a named pool are
/// the last roots, one after another.
pub(crate) fn tree_of(records: &[Arc<TaskRecord>]) -> Tasks {
    let index: HashMap<_, _> = records.iter().map(Arc::as_ptr).zip(0_usize..).collect();
    let mut children = vec![Vec::new(); records.len()];
    let mut roots = Vec::new();
    for (at, record) in records.iter().enumerate() {
        match record.parent().and_then(|parent| index.get(&parent.record())) {
            Some(parent) => children[*parent].push(at),
            None => roots.push(at),
        }
    }
    // Read once: a worker of a map updates its record with each run.
    let born: Vec<_> = records.iter().map(|record| record.since()).collect();
    // A stack, not recursion: tasks nest without a limit. The oldest is popped first.
    let youngest_first = |siblings: &mut Vec<usize>| {
        siblings.sort_by_key(|at| Reverse(born[*at]));
    };
    youngest_first(&mut roots);
    // Stable. The tasks of named pools follow all others, pool by pool.
    roots.sort_by_key(|at| Reverse(records[*at].scope().name()));
    let mut ahead: Vec<_> = roots.into_iter().map(|at| (at, 0)).collect();
    let mut tasks = Vec::with_capacity(records.len());
    while let Some((at, depth)) = ahead.pop() {
        tasks.push(LiveTask { depth, ..LiveTask::of(&records[at]) });
        let mut siblings = std::mem::take(&mut children[at]);
        youngest_first(&mut siblings);
        ahead.extend(siblings.into_iter().map(|child| (child, depth + 1)));
    }
    Tasks(tasks)
}
