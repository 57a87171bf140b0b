//! The context of the running code: the current task, run and section, the scopes around them, and why they were
//! cancelled.
//!
//! Code enters a task, a run or a section, and exits it at the latest when it unwinds; the reference that it passed in
//! is then returned to it. `stack.rs` is the thread's stack, `tree.rs` the records and scopes, `shields.rs` what others
//! know of a run, `service.rs` what they know of a service, `polls.rs` since when each thread polls, `lines.rs` the lines
//! at which runs wait, `reason.rs` why a scope was cancelled, `cancel_waker.rs` the watch over a scope's token,
//! `deadlock.rs` the search for self-deadlocks. Nothing here knows a group, a pool or a map.

pub(crate) mod cancel_waker;
pub(crate) mod control;
pub(crate) mod deadlock;
pub(crate) mod lines;
pub(crate) mod polls;
pub(crate) mod reason;
pub(crate) mod service;
pub(crate) mod shields;
pub(crate) mod stack;
pub(crate) mod tree;

use std::{
    ops::ControlFlow::{Break, Continue},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    cause::Cause,
    context::lines::Mark,
    context::reason::CancelEpoch,
    context::service::ServiceNode,
    context::shields::RunShields,
    context::stack::{EntryKind, Permit, Pushed, RunTimes, StackEntry, StackRef},
    context::tree::{EnclosingRun, ParentRef, ScopeNode, TaskRecord},
    function::{Policy, TaskSpec},
    outcome::Outcome,
};

#[cfg(all(test, supervised_loom))]
mod loom;

/// Polls, or drops, a task.
#[inline]
pub(crate) fn in_task<R>(record: &mut Option<Arc<TaskRecord>>, code: impl FnOnce() -> R) -> R {
    let _guard = EnterGuard::new(EntryKind::Task, record);
    let outer = lines::enter_task();
    let result = code();
    lines::leave_task(outer);
    result
}

/// Polls a section of a task, such as a shield, inside its own cancellation scope. A shield with `times` has no scope
/// yet: the code inside makes it if it needs it.
#[inline]
pub(crate) fn in_section<R>(
    scope: &mut Option<Arc<ScopeNode>>,
    times: Option<RunTimes>,
    code: impl FnOnce() -> R,
) -> R {
    let guard = EnterGuard::new(EntryKind::Section { task: tokio::task::try_id() }, scope);
    if let Some(times) = times {
        stack::set_times(guard.pushed, times);
    }
    code()
}

/// Enters a run, until [`exit_run`].
#[inline]
pub(crate) fn enter_run(
    spec: &'static TaskSpec,
    holds_permit: bool,
    shields: Option<&mut Option<Arc<RunShields>>>,
) -> Pushed {
    let permit = if holds_permit { Permit::HeldBy(tokio::task::try_id()) } else { Permit::None };
    stack::push(EntryKind::Run { spec, permit }, shields)
}

/// Exits a run. Returns whether it has shields, which [`take_back`] returns.
#[inline]
pub(crate) fn exit_run(pushed: Pushed) -> bool {
    stack::pop(pushed)
}

/// Writes the line of a pending run that was exited into the record of its task. `run` is its address.
#[inline]
pub(crate) fn set_line(
    pushed: Pushed,
    spec: &'static TaskSpec,
    mark: Mark,
    moved: bool,
    run: usize,
) {
    match stack::is_in_task(pushed) {
        Some(true) => lines::leave_own(mark, moved, run),
        Some(false) => set_line_of_call(pushed, spec, mark, moved, run),
        // A call that no task makes has no record.
        None => {}
    }
}

#[inline(never)]
fn set_line_of_call(pushed: Pushed, spec: &'static TaskSpec, mark: Mark, moved: bool, run: usize) {
    stack::with_task_of(pushed, |record, depth| {
        record.frames().set_call(depth, (spec, mark), moved, run, record.polled_since());
    });
}

/// Stores the shields of a run that was exited back into `shields`.
pub(crate) fn take_back(pushed: Pushed, shields: &mut Option<Arc<RunShields>>) {
    *shields = stack::take_back(pushed);
}

/// Pops the entry when it is dropped, also when the code unwinds, and puts its reference back into its place.
struct EnterGuard<'a, T: StackRef> {
    pushed: Pushed,
    place: &'a mut Option<Arc<T>>,
}

impl<'a, T: StackRef> EnterGuard<'a, T> {
    #[inline]
    fn new(kind: EntryKind, place: &'a mut Option<Arc<T>>) -> Self {
        Self { pushed: stack::push(kind, Some(place)), place }
    }
}

impl<T: StackRef> Drop for EnterGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if stack::pop(self.pushed) {
            *self.place = stack::take_back(self.pushed);
        }
    }
}

/// The scope of the current code.
pub(crate) fn current_scope() -> Option<Arc<ScopeNode>> {
    let now = tokio::task::try_id();
    let mut is_unmade = false;
    let found = stack::visit_own_entries(|entry| match entry {
        StackEntry::Task { record } => Break(record.as_ref().map(|record| record.scope().clone())),
        StackEntry::Section { task, scope: Some(scope), .. } if *task == now => {
            Break(Some(scope.clone()))
        }
        StackEntry::Section { task, times: Some(_), .. } if *task == now => {
            is_unmade = true;
            Break(None)
        }
        StackEntry::Section { .. } | StackEntry::Run { .. } => Continue(()),
    });
    if is_unmade { make_scope() } else { found.flatten() }
}

/// Makes the scope of the shield that the current code is in, and of those around it.
#[cold]
fn make_scope() -> Option<Arc<ScopeNode>> {
    stack::with_entries(|entries| {
        let now = tokio::task::try_id();
        let mut around = None;
        for entry in stack::of_current_task(entries) {
            match entry {
                StackEntry::Task { record: Some(record) } => around = Some(record.scope().clone()),
                StackEntry::Section { task, scope, times } if *task == now => {
                    if let (None, Some(times)) = (&scope, times) {
                        let deadline = times.deadline(None);
                        *scope = Some(ScopeNode::section(around.as_ref(), deadline, None));
                    }
                    around = scope.clone().or(around);
                }
                _ => {}
            }
        }
        around
    })
}

/// Calls `read` with the record of the current task, if it is a supervised one.
pub(crate) fn current_record<R>(read: impl FnOnce(&Arc<TaskRecord>) -> R) -> Option<R> {
    let mut read = Some(read);
    stack::visit_own_entries(|entry| match entry {
        StackEntry::Task { record } => {
            Break(record.as_ref().and_then(|record| Some(read.take()?(record))))
        }
        StackEntry::Section { .. } | StackEntry::Run { .. } => Continue(()),
    })?
}

/// Whether the current code is that of the record's task.
pub(crate) fn is_current(record: &TaskRecord) -> bool {
    current_record(|current| std::ptr::eq(Arc::as_ptr(current), record)).unwrap_or(false)
}

/// Calls `write` with the record of the current task if the caller is the run that the task drives, and not a call
/// within it.
fn with_own_record(write: impl FnOnce(&TaskRecord)) {
    let mut write = Some(write);
    stack::visit_own_entries(|entry| {
        if let (StackEntry::Task { record: Some(record) }, Some(write)) = (entry, write.take()) {
            write(record);
        }
        Break(())
    });
}

/// Records in the task's record whether its run waits for a permit or a restart.
#[cold]
pub(crate) fn set_waiting(now: bool) {
    with_own_record(|record| record.set_waiting(now));
}

/// Records that the run of the current task has ended, and that it waits for its restart. If it is a service, its
/// `Services` shows the restart, and the text of the error.
#[cold]
pub(crate) fn set_restarting(error: Option<&str>) {
    with_own_record(|record| {
        if let Some(service) = record.scope().service() {
            service.on_restart(error);
        }
        record.set_restarting(true);
        record.set_waiting(true);
    });
}

/// Records that the run of the current task has succeeded, and that it waits for its next tick. A service is ready then.
#[cold]
pub(crate) fn set_waiting_for_tick() {
    with_own_record(|record| {
        record.set_waiting(true);
        if let Some(service) = record.scope().service() {
            service.on_tick();
        }
    });
}

/// Records that the wait for the next run is over, and wakes the `Services` of a service, which checks whether it is ready.
#[cold]
pub(crate) fn set_restarted() {
    with_own_record(|record| {
        record.set_restarting(false);
        record.set_waiting(false);
        record.frames().clear();
        if let Some(service) = record.scope().service() {
            service.wake_owner();
        }
    });
}

/// Records in the task's record that its run was cancelled.
#[cold]
pub(crate) fn set_stopping() {
    with_own_record(TaskRecord::set_stopping);
}

/// Records how the run of the current task was counted, which is being dropped.
#[cold]
pub(crate) fn set_dropped_as(outcome: Outcome) {
    with_own_record(|record| record.control().set_dropped_as(outcome));
}

/// Whether the current task is cancelled, by its scope or by its handle.
pub(crate) fn is_stopping() -> bool {
    let is_stopping = |record: &Arc<TaskRecord>| {
        record.control().requests().is_cancelled() || record.scope().is_stopping()
    };
    current_record(is_stopping).unwrap_or(false)
}

/// Returns why the current code was cancelled, if its token has fired since `uncancelled` was read.
pub(crate) fn cause(uncancelled: CancelEpoch) -> Cause {
    let scope = current_scope();
    let by_handle = current_record(|record| {
        record.control().requests().is_by_handle().then(|| record.scope().clone())
    });
    if let Some(of_task) = by_handle.flatten() {
        // A section inside the task may have been cancelled for another reason.
        let inside = scope.filter(|scope| !Arc::ptr_eq(scope, &of_task));
        let cause = inside.and_then(|scope| scope.cause_within(&of_task));
        return cause.unwrap_or(Cause::Handle);
    }
    let cause = match scope {
        Some(scope) => scope.cause_of(uncancelled),
        None => ScopeNode::cause_of_main(uncancelled),
    };
    cause.unwrap_or(Cause::Token)
}

/// A scope inside the runs of the current task, which wait for it.
pub(crate) fn nested_scope(token: CancellationToken) -> Arc<ScopeNode> {
    nested(token, None)
}

/// As [`nested_scope`], for the task of a service.
pub(crate) fn service_scope(token: CancellationToken, service: Arc<ServiceNode>) -> Arc<ScopeNode> {
    nested(token, Some(service))
}

/// The service that the current code belongs to: the nearest one around it.
pub(crate) fn current_service() -> Option<Arc<ServiceNode>> {
    let mut next = current_scope();
    while let Some(scope) = next {
        if let Some(service) = scope.service() {
            return Some(service.clone());
        }
        next = scope.parent();
    }
    None
}

fn nested(token: CancellationToken, service: Option<Arc<ServiceNode>>) -> Arc<ScopeNode> {
    let parent = current_scope();
    let parent_task = current_record(ParentRef::new);
    let deadline = deadline();
    let runs = stack::with_entries(|entries| {
        let entries = stack::of_current_task(entries);
        let outermost =
            entries.iter_mut().find_map(StackEntry::shields).filter(|_| parent.is_some());
        let outermost_run = outermost.map(Arc::downgrade);
        (entries.iter_mut().filter_map(enclosing_run).collect(), outermost_run)
    });
    ScopeNode::nested(token, parent.as_ref(), parent_task, runs, deadline, service)
}

/// Creates the scope of a shield in the current task. It can be cancelled for a different reason than the task.
pub(crate) fn shield_scope(deadline: Option<Instant>) -> Arc<ScopeNode> {
    ScopeNode::section(current_scope().as_ref(), deadline, None)
}

/// Like [`shield_scope`], for a section with a deadline, which counts the shields inside.
pub(crate) fn deadline_scope(
    deadline: Option<Instant>,
    shields: &Arc<RunShields>,
) -> Arc<ScopeNode> {
    ScopeNode::section(current_scope().as_ref(), deadline, Some(shields.clone()))
}

/// Returns the nearest deadline around the current code.
pub(crate) fn deadline() -> Option<Instant> {
    nearest_deadline(true)
}

/// Like [`deadline`], without the timeouts of the runs since the nearest section, which drop their own bodies.
pub(crate) fn section_deadline() -> Option<Instant> {
    nearest_deadline(false)
}

/// Visits the entries up to the nearest shield, or to the task, whose scope knows the deadlines around it.
fn nearest_deadline(with_timeouts: bool) -> Option<Instant> {
    let now = tokio::task::try_id();
    let mut nearest: Option<Instant> = None;
    stack::visit_own_entries(|entry| {
        let (found, is_last) = match entry {
            StackEntry::Run { .. } if !with_timeouts => (None, false),
            StackEntry::Run { spec, times, .. } => {
                (times.as_ref().and_then(|times| times.deadline(spec.timeout())), false)
            }
            StackEntry::Section { task, scope: Some(scope), .. } if *task == now => {
                // A shield holds the deadlines around it back; a section with a deadline does not.
                (scope.deadline(), scope.shields().is_none())
            }
            StackEntry::Section { task, times: Some(times), .. } if *task == now => {
                (times.deadline(None), true)
            }
            StackEntry::Section { .. } => (None, false),
            StackEntry::Task { record } => {
                (record.as_ref().and_then(|record| record.scope().deadline()), true)
            }
        };
        nearest = nearest.into_iter().chain(found).min();
        if is_last { Break(()) } else { Continue(()) }
    });
    nearest
}

/// The function of the innermost run of the current task.
pub(crate) fn current_run() -> Option<&'static TaskSpec> {
    stack::visit_own_entries(|entry| match entry {
        StackEntry::Run { spec, .. } => Break(*spec),
        StackEntry::Task { .. } | StackEntry::Section { .. } => Continue(()),
    })
}

/// The grace of the innermost run of the current task; `None` if it is unbounded. Outside of all runs, the default.
pub(crate) fn current_grace() -> Option<Duration> {
    let found = stack::visit_own_entries(|entry| match entry {
        StackEntry::Run { spec, times, .. } => Break(match times {
            Some(RunTimes { own: Some(own), .. }) => own.grace,
            _ => spec.grace(),
        }),
        StackEntry::Task { .. } | StackEntry::Section { .. } => Continue(()),
    });
    found.unwrap_or(Policy::DEFAULT_GRACE)
}

fn enclosing_run(entry: &mut StackEntry) -> Option<EnclosingRun> {
    let holder = entry.holder();
    match entry {
        StackEntry::Run { spec, .. } => Some(EnclosingRun { spec, holder }),
        StackEntry::Task { .. } | StackEntry::Section { .. } => None,
    }
}
