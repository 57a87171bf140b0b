//! Spawned tasks, of a future with ten states: row 4.

mod alone;
mod group_by_hand;
mod pool_by_hand;
mod supervised;
mod supervisors;
mod ten_states;

use std::future::Future;

use tokio::runtime::Runtime;
use tokio_supervised::{CancellationToken, SupervisedFuture, TaskError};

use crate::{
    contest::{self, Contender},
    report::{self, Goal},
    settings::Settings,
};

const LIMIT: usize = 64;

/// The spawned body, without supervision and with it.
struct Work<F, S> {
    what: &'static str,
    /// Of the ratio to by hand.
    goal: f64,
    plain: fn() -> F,
    supervised: fn(CancellationToken) -> S,
}

/// One round, in a task of the runtime: there the hand-written program is quickest.
fn round<T: Send + 'static>(
    runtime: &Runtime,
    program: impl Future<Output = T> + Send + 'static,
) -> T {
    runtime.block_on(runtime.spawn(program)).expect("what spawns does not panic")
}

pub(crate) fn run(settings: &Settings) {
    let runtime = &settings.all_cores();
    report::row(4, &format!("{} spawns of a future with ten states", settings.tasks));
    let (plain, supervised) = (ten_states::at_once, ten_states::supervised_at_once);
    let ready = Work { what: "ten awaits, ready", goal: 0.95, plain, supervised };
    in_groups_and_pools(settings, runtime, &ready);
    let (plain, supervised) = (ten_states::yielding, ten_states::supervised_yielding);
    let yielding = Work { what: "ten awaits, yielding", goal: 1.0, plain, supervised };
    in_groups_and_pools(settings, runtime, &yielding);
    beside_supervisors(settings, runtime, &ready);
}

fn in_groups_and_pools<F, S>(settings: &Settings, runtime: &Runtime, work: &Work<F, S>)
where
    F: Future<Output = Result<(), TaskError>> + Send + 'static,
    S: SupervisedFuture<Value = (), Error = TaskError> + Send + 'static,
{
    let token = &CancellationToken::new();
    let (tasks, &Work { what, goal, plain, supervised }) = (settings.tasks, work);
    // A pool always has a limit: one that is never reached stands beside a group that has none.
    for (limit, bound) in [(Some(LIMIT), "limit 64"), (None, "no limit")] {
        let slots = limit.unwrap_or(tasks as usize);
        let contenders = vec![
            Contender::new("TaskTracker", "token, panics, bound, metrics, failure", || {
                round(runtime, alone::in_a_tracker(tasks, plain));
            }),
            Contender::new("JoinSet", "token, bound, metrics, end at a failure", || {
                round(runtime, alone::in_a_join_set(tasks, plain));
            }),
            Contender::new("Group", "", || {
                let group = supervised::group(token.clone(), limit, tasks, supervised);
                round(runtime, group).expect("no task fails");
            }),
            Contender::new("group by hand", "metrics, name, backtrace, results", || {
                let group = group_by_hand::group(token.clone(), limit, tasks, plain);
                round(runtime, group).expect("no task fails");
            }),
            Contender::new("Pool", "", || {
                round(runtime, supervised::pool(slots, tasks, supervised));
            }),
            Contender::new(
                "pool by hand",
                "metrics, name, backtrace, deadline of the drain",
                || {
                    round(runtime, pool_by_hand::pool(token.clone(), slots, tasks, plain));
                },
            ),
        ];
        let contest = format!("spawn, {what}, {bound}");
        let times = contest::hold(settings, &contest, contenders, settings.rounds, tasks);
        for (ours, by_hand) in [("Group", "group by hand"), ("Pool", "pool by hand")] {
            let line = |rest: &str| format!("{what}, {bound}: {rest}");
            times.print(ours, &line(ours));
            times.print(by_hand, &line(by_hand));
            let ratio = times.ratio(ours, by_hand);
            report::ratio(&line(&format!("{ours} to by hand")), &ratio, Goal::AtMost(goal));
        }
        if limit.is_none() {
            for peer in ["TaskTracker", "JoinSet"] {
                let line = |rest| format!("{what}, {bound}: {rest}");
                times.print(peer, &line(format!("{peer} alone")));
                for (name, reference) in [("Group", peer), (peer, "group by hand")] {
                    let ratio = times.ratio(name, reference);
                    report::ratio_alone(&line(format!("{name} to {reference}")), &ratio);
                }
            }
        }
    }
}

/// For orientation: neither has a limit, so neither has the group here.
fn beside_supervisors<F, S>(settings: &Settings, runtime: &Runtime, work: &Work<F, S>)
where
    F: Future<Output = Result<(), TaskError>> + Send + 'static,
    S: SupervisedFuture<Value = (), Error = TaskError> + Send + 'static,
{
    let token = &CancellationToken::new();
    let (tasks, &Work { what, plain, supervised, .. }) = (settings.tasks / 20, work);
    let contenders = vec![
        Contender::new("Group", "bound (none asked for)", || {
            let group = supervised::group(token.clone(), None, tasks, supervised);
            round(runtime, group).expect("no task fails");
        }),
        Contender::new("task-supervisor", "bound, metrics, results, backtrace", || {
            round(runtime, supervisors::task_supervisor(tasks, plain));
        }),
        Contender::new("taskvisor", "bound, metrics, results, backtrace", || {
            round(runtime, supervisors::taskvisor(tasks, plain));
        }),
        Contender::new(
            "tokio-graceful-shutdown",
            "bound, metrics, results, panic message, backtrace",
            || {
                round(runtime, supervisors::graceful_shutdown(tasks, plain));
            },
        ),
    ];
    let times = contest::hold(settings, "supervisors", contenders, settings.rounds, tasks);
    println!("    of {tasks} spawns, beside supervisors for services:");
    for name in ["Group", "task-supervisor", "taskvisor", "tokio-graceful-shutdown"] {
        times.print(name, &format!("{what}: {name}"));
    }
    for other in ["task-supervisor", "taskvisor", "tokio-graceful-shutdown"] {
        let ratio = times.ratio("Group", other);
        report::ratio_alone(&format!("{what}: Group to {other}"), &ratio);
    }
}
