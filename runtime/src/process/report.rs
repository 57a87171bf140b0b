//! The running tasks as text: for a report at the exit, and for SIGUSR1.

use std::{collections::HashMap, fmt::Write as _};

use crate::{function::TaskSpec, registry::name::Name};

/// Returns the tree of the live tasks, and a line for each function with more runs than tasks: these are awaited
/// inline.
pub(crate) fn running_tasks() -> String {
    let tasks = crate::registry::snapshot::tasks();
    let mut in_tree: HashMap<_, u64> = HashMap::new();
    for task in &tasks {
        *in_tree.entry(task.name).or_default() += 1;
    }
    let mut report = String::new();
    if !tasks.is_empty() {
        _ = writeln!(report, "{tasks}");
    }
    for spec in TaskSpec::all() {
        let totals = spec.metrics().totals();
        let (running, waiting) = (totals.running(), totals.waiting);
        if running + waiting > in_tree.get(spec.name()).copied().unwrap_or(0) {
            let (name, place) = (Name(spec.name()), spec.place());
            _ = writeln!(
                report,
                "{name}: {running} running, {waiting} waiting, defined at {place}"
            );
        }
    }
    if report.is_empty() {
        report.push_str("no supervised tasks\n");
    }
    report
}
