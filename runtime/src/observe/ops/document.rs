//! The content of a snapshot. Its size is bounded; omitted entries are counted.
//!
//! The page and other programs read it as JSON: keys carry their units; keys are added, never changed.

use std::{
    cmp::Reverse,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value, json};

use crate::observe::ops::message;
use crate::{
    observe::stats::{TaskStats, stats},
    observe::tasks::tasks,
    outcome::Outcome,
    panic::recent::{RecentPanic, recent_panics},
    ready,
    registry::fold::Alike,
    registry::live::{LiveTask, TaskState},
    registry::pool_status::{PoolStatus, pools},
    registry::services::{ServiceState, ServiceStatus, is_ready, services},
    registry::snapshot::Tasks,
    registry::tree::{PoolLine, TreeLine, fold_alike},
};

/// The shortest pause between two snapshots.
const EVERY: Duration = Duration::from_millis(500);

/// How many alike siblings get a line each.
const MOST_ALIKE: usize = 8;
const MOST_LINES: usize = 300;
const MOST_POLLING: usize = 20;
const MOST_SERVICES: usize = 100;
const MOST_POOLS: usize = 100;
const MOST_FUNCTIONS: usize = 100;

pub(crate) struct Document {
    /// The name of the program.
    pub(crate) process: String,
    pub(crate) pid: u32,
    /// Since the Unix epoch.
    pub(crate) at: Duration,
    /// The time until the next snapshot.
    pub(crate) next: Duration,
    pub(crate) ready: bool,
    /// Whether a signal has come.
    pub(crate) stopping: bool,
    /// Those that have not ended.
    pub(crate) services: Vec<ServiceStatus>,
    pub(crate) services_left_out: usize,
    /// The named pools.
    pub(crate) pools: Vec<PoolStatus>,
    pub(crate) pools_left_out: usize,
    pub(crate) live: usize,
    /// The tasks that block their worker, the longest first.
    pub(crate) polling: Vec<LiveTask>,
    pub(crate) polling_left_out: usize,
    /// The tree: parents before their children.
    pub(crate) lines: Vec<PageLine>,
    pub(crate) lines_left_out: usize,
    pub(crate) tasks_left_out: usize,
    totals: Totals,
    pub(crate) functions: Vec<TaskStats>,
    pub(crate) functions_left_out: usize,
    /// The newest first.
    pub(crate) panics: Vec<RecentPanic>,
}

/// The sums over all functions, including those that a snapshot omits.
struct Totals {
    waiting: u64,
    ended: [u64; Outcome::ALL.len()],
}

impl Totals {
    fn of(functions: &[TaskStats]) -> Self {
        let sum = |value: &dyn Fn(&TaskStats) -> u64| functions.iter().map(value).sum();
        Self {
            waiting: sum(&|each| each.waiting),
            ended: Outcome::ALL.map(|outcome| sum(&|each| each.ended(outcome))),
        }
    }

    fn json(&self) -> Value {
        let ended = Outcome::ALL.iter().zip(self.ended);
        let ended: Map<_, _> =
            ended.map(|(outcome, count)| (outcome.as_str().to_owned(), count.into())).collect();
        json!({ "waiting": self.waiting, "ended": ended })
    }
}

/// An owned line of the tree.
pub(crate) enum PageLine {
    Pool(PoolLine),
    /// A task, and its depth among the lines.
    Task(LiveTask, usize),
    /// Alike siblings, and their depth.
    More(Alike, usize),
}

impl Document {
    pub(crate) fn now(started: Instant) -> Self {
        let tasks = tasks();
        let (polling, polling_left_out) = polling(&tasks);
        let (lines, lines_left_out, tasks_left_out) = lines(&tasks);
        let stats = stats();
        let totals = Totals::of(&stats);
        let (services, services_left_out) = live_services();
        let (pools, pools_left_out) = named_pools();
        let (functions, functions_left_out) = functions(stats);
        let live = tasks.len();
        drop(tasks);
        let took = started.elapsed();
        Self {
            process: process(),
            pid: std::process::id(),
            at: since_epoch(SystemTime::now()),
            next: took + rest(took),
            ready: is_ready(),
            stopping: !ready::accepts_work(),
            services,
            services_left_out,
            pools,
            pools_left_out,
            live,
            polling,
            polling_left_out,
            lines,
            lines_left_out,
            tasks_left_out,
            totals,
            functions,
            functions_left_out,
            panics: recent_panics(),
        }
    }

    pub(crate) fn json(&self) -> String {
        let value = json!({
            "process": self.process,
            "pid": self.pid,
            "at_unix_seconds": self.at.as_secs_f64(),
            "next_seconds": self.next.as_secs_f64(),
            "ready": self.ready,
            "stopping": self.stopping,
            "services": self.services.iter().map(service_json).collect::<Vec<_>>(),
            "services_left_out": self.services_left_out,
            "pools": self.pools.iter().map(pool_json).collect::<Vec<_>>(),
            "pools_left_out": self.pools_left_out,
            "live": self.live,
            "polling": self.polling,
            "polling_left_out": self.polling_left_out,
            "lines": self.lines.iter().map(PageLine::json).collect::<Vec<_>>(),
            "lines_left_out": self.lines_left_out,
            "tasks_left_out": self.tasks_left_out,
            "totals": self.totals.json(),
            "functions": self.functions,
            "functions_left_out": self.functions_left_out,
            "panics": self.panics.iter().map(panic_json).collect::<Vec<_>>(),
        });
        value.to_string()
    }
}

/// Returns the pause after a snapshot that took `took`: at most a tenth of the time goes to snapshots.
pub(crate) fn rest(took: Duration) -> Duration {
    EVERY.max(took * 9)
}

fn polling(tasks: &Tasks) -> (Vec<LiveTask>, usize) {
    let since = |task: &&LiveTask| match task.state {
        TaskState::Polling(since) => Some(since),
        _ => None,
    };
    let mut polling: Vec<_> = tasks.iter().filter(|task| since(task).is_some()).collect();
    polling.sort_by_key(|task| Reverse(since(task)));
    let shown = polling.iter().copied().take(MOST_POLLING).cloned().collect();
    (shown, polling.len().saturating_sub(MOST_POLLING))
}

/// Returns the lines, and the numbers of lines and tasks that are left out.
fn lines(tasks: &Tasks) -> (Vec<PageLine>, usize, usize) {
    let mut folded = fold_alike(tasks, MOST_ALIKE);
    let left_out = folded.split_off(MOST_LINES.min(folded.len()));
    let tasks_left_out = left_out.iter().map(|line| match line {
        TreeLine::Pool(_) => 0,
        TreeLine::Task(..) => 1,
        TreeLine::More(alike, _) => alike.count + alike.below,
    });
    let tasks_left_out = tasks_left_out.sum();
    (folded.iter().map(PageLine::of).collect(), left_out.len(), tasks_left_out)
}

fn functions(mut stats: Vec<TaskStats>) -> (Vec<TaskStats>, usize) {
    let left_out = stats.len().saturating_sub(MOST_FUNCTIONS);
    if left_out > 0 {
        // The active ones first, then the busiest.
        stats.sort_by_key(|each| {
            let idle = each.running + each.waiting == 0;
            (idle, Reverse(each.started))
        });
        stats.truncate(MOST_FUNCTIONS);
    }
    (stats, left_out)
}

impl PageLine {
    fn of(line: &TreeLine<'_>) -> Self {
        match line {
            TreeLine::Pool(pool) => Self::Pool(pool.clone()),
            TreeLine::Task(task, depth) => Self::Task((*task).clone(), *depth),
            TreeLine::More(alike, depth) => Self::More(alike.clone(), *depth),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Pool(PoolLine { name, tasks }) => {
                json!({ "depth": 0, "name": name, "pool_tasks": tasks })
            }
            Self::Task(task, depth) => {
                let mut line = json!(task);
                line["depth"] = json!(depth);
                line
            }
            Self::More(Alike { name, count, below, oldest, blocking, waits_at }, depth) => json!({
                "depth": depth,
                "name": name,
                "more": count,
                "below": below,
                "oldest_seconds": oldest.as_secs_f64(),
                "polling": blocking,
                "waits_at": waits_at.map(|(file, line)| format!("{file}:{line}")),
            }),
        }
    }
}

fn live_services() -> (Vec<ServiceStatus>, usize) {
    let mut services = services();
    services.retain(|service| service.state != ServiceState::Stopped);
    let left_out = services.len().saturating_sub(MOST_SERVICES);
    services.truncate(MOST_SERVICES);
    (services, left_out)
}

fn named_pools() -> (Vec<PoolStatus>, usize) {
    let mut pools = pools();
    // The names of pools that are gone stay in the metrics only.
    pools.retain(|pool| pool.slots > 0);
    let left_out = pools.len().saturating_sub(MOST_POOLS);
    pools.truncate(MOST_POOLS);
    (pools, left_out)
}

fn pool_json(pool: &PoolStatus) -> Value {
    let PoolStatus { name, slots, in_use, waiting, refused } = pool;
    json!({ "name": name, "slots": slots, "in_use": in_use, "waiting": waiting, "refused": refused })
}

/// With the start of the text of its last failure.
fn service_json(service: &ServiceStatus) -> Value {
    let ServiceStatus { name, state, restarts, last_failure } = service;
    let last_failure = last_failure.as_deref().map(message::cut);
    json!({ "name": **name, "state": state, "restarts": restarts, "last_failure": last_failure })
}

/// Without the backtrace, which is long and slow to write.
fn panic_json(panic: &RecentPanic) -> Value {
    json!({
        "key": key(panic),
        "task": panic.task(),
        "label": panic.label(),
        "id": panic.id().map(|id| id.to_string()),
        "message": message::cut(panic.message()),
        "location": panic.location().map(ToString::to_string),
        "at_unix_seconds": since_epoch(panic.at()).as_secs_f64(),
    })
}

/// The key to request its backtrace. No two panics of one task have the same time.
fn key(panic: &RecentPanic) -> String {
    let id = panic.id().map(|id| id.to_string()).unwrap_or_default();
    format!("{}-{id}", since_epoch(panic.at()).as_nanos())
}

const NO_BACKTRACE: &str = "\
There is none: the panic hook was replaced by one that does not call the one before it, or the panic was resumed,
which calls no hook.
";

/// Returns the backtrace of a recent panic. The first call resolves its symbols, which takes a while.
pub(crate) fn backtrace(of: &str) -> Option<String> {
    let panics = recent_panics();
    let panic = panics.iter().find(|panic| key(panic) == of)?;
    let backtrace = panic.backtrace().map(ToString::to_string);
    Some(backtrace.unwrap_or_else(|| NO_BACKTRACE.to_owned()))
}

fn process() -> String {
    let program = std::env::current_exe().ok();
    let name = program.as_deref().and_then(|program| program.file_name());
    name.map_or_else(|| "process".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::{Policy, TaskSpec};

    static SPEC: TaskSpec = TaskSpec::new("one of many", Policy::DEFAULT);

    #[track_caller]
    fn task(name: &'static str, depth: usize) -> LiveTask {
        LiveTask { depth, ..LiveTask::example(name, TaskState::Running) }
    }

    #[test]
    fn snapshots_take_a_tenth_of_the_time() {
        assert_eq!(rest(Duration::from_millis(1)), EVERY);
        assert_eq!(rest(Duration::from_secs(1)), Duration::from_secs(9));
    }

    #[test]
    fn omitted_lines_are_counted_with_their_tasks() {
        let each = (0..MOST_LINES + 10).map(|number| task(number.to_string().leak(), 0));
        let families = (0..MOST_ALIKE + 3).flat_map(|_| [("alike", 0), ("child", 1), ("child", 1)]);
        let tasks: Vec<_> = each.chain(families.map(|(name, depth)| task(name, depth))).collect();
        let all = tasks.len();
        let (shown, lines, tasks) = lines(&Tasks(tasks));
        assert_eq!((shown.len(), lines), (MOST_LINES, 10 + 3 * MOST_ALIKE + 1));
        assert_eq!(tasks, all - MOST_LINES);
    }

    #[test]
    fn truncation_keeps_the_busiest_functions() {
        let numbered = |started: u64| {
            let mut stats = TaskStats::of(&SPEC);
            (stats.started, stats.running) = (started, u64::from(started == 0));
            stats
        };
        let all: Vec<_> = (0..MOST_FUNCTIONS as u64 + 2).map(numbered).collect();
        let (shown, left_out) = functions(all);
        assert_eq!((shown.len(), left_out), (MOST_FUNCTIONS, 2));
        let first: Vec<_> = shown.iter().take(3).map(|each| each.started).collect();
        assert_eq!(first, [0, 101, 100]);
        assert!(shown.iter().all(|each| each.started != 1 && each.started != 2));
    }

    #[test]
    fn functions_keep_their_order_without_truncation() {
        let numbered = |started: u64| {
            let mut stats = TaskStats::of(&SPEC);
            stats.started = started;
            stats
        };
        let (shown, left_out) = functions([1, 3, 2].map(numbered).into());
        assert_eq!(left_out, 0);
        assert_eq!(shown.iter().map(|each| each.started).collect::<Vec<_>>(), [1, 3, 2]);
    }

    #[test]
    fn a_text_counts_omitted_entries() {
        let mut document = Document::now(Instant::now());
        let oldest = Duration::from_secs(2);
        let alike =
            Alike { name: "alike", count: 3, below: 6, oldest, blocking: 2, waits_at: None };
        document.lines = vec![PageLine::More(alike, 1)];
        document.polling = vec![task("blocks", 0)];
        (document.polling_left_out, document.tasks_left_out, document.functions_left_out) =
            (4, 5, 6);
        let text = document.to_string();
        for said in [
            "\n    … 3 × alike, with 6 below, 2 polling (block their workers), oldest 2.0 s\n",
            "\n  … and 4 more tasks that block their worker, left out\n",
            "\n  … and 5 more tasks, left out\n",
            "\n  … and 6 more functions, left out\n",
        ] {
            assert!(text.contains(said), "no {said:?} in {text}");
        }
    }
}
