//! Who runs now: the runs that are being polled on this thread, and the tasks and sections around them.
//!
//! Invariants
//!
//! 1. While a run's body, a task or a section is polled on a thread, it has an entry on that thread's stack;
//!    what it handed in comes back when it leaves, at the latest. Most runs hand nothing in: to enter and to leave is
//!    then two stores, with nothing to be counted, allocated or dropped.
//! 2. No user code runs while the stack is borrowed.
//! 3. A run has [`RunShields`] from the moment someone else has to refer to it, and lets go of it when it
//!    ends: whoever finds it gone knows that the run holds nothing.
//! 4. What lies below on the stack may belong to another tokio task: a run that drives a `LocalSet` polls the tasks
//!    of others. Tasks and sections, and runs that hold a permit, know the tokio task that they are polled in, and
//!    count for its code alone. (`tests/composition/run_truth.rs`)

use std::sync::{Arc, Weak};

use tokio::task::Id;

use crate::context::stack::Pushed;
use crate::context::stack::{EntryKind, StackRef};
use crate::{cause::Cause, function::TaskSpec};
use crate::{
    context::tree::TaskRecord,
    context::{CancelEpoch, Scope},
    run::shield::PendingShields,
};

/// What others know of a run that is under way.
#[derive(Default)]
pub(crate) struct RunShields {
    pub(crate) pending: PendingShields,
}

pub(crate) enum StackEntry {
    /// What lies below belongs to another task, or to none.
    Task {
        record: Option<Arc<TaskRecord>>,
    },
    /// A part of a task that has a scope of its own.
    Section {
        task: Option<Id>,
        scope: Option<Arc<Scope>>,
    },
    Run {
        spec: &'static TaskSpec,
        permit: Permit,
        shields: Option<Arc<RunShields>>,
    },
}

/// Whether a run that is being polled holds a permit.
#[derive(Clone, Copy)]
pub(crate) enum Permit {
    None,
    /// The run is polled in this tokio task, or in none.
    HeldBy(Option<Id>),
}

impl Permit {
    /// Whether a run holds one that is polled in the same tokio task as the code that runs now: it cannot return
    /// the permit while that waits.
    pub(crate) fn is_held_here(self) -> bool {
        matches!(self, Self::HeldBy(task) if task == tokio::task::try_id())
    }
}

/// Polls, or drops, a task.
#[inline]
pub(crate) fn in_task<R>(record: &mut Option<Arc<TaskRecord>>, code: impl FnOnce() -> R) -> R {
    let _guard = EnterGuard::new(EntryKind::Task, record);
    code()
}

/// Polls a part of a task that has a scope of its own.
pub(crate) fn in_section<R>(scope: &mut Option<Arc<Scope>>, code: impl FnOnce() -> R) -> R {
    let _guard = EnterGuard::new(EntryKind::Section { task: tokio::task::try_id() }, scope);
    code()
}

/// A run enters the stack, to leave it by [`exit_run`].
#[inline]
pub(crate) fn enter_run(
    spec: &'static TaskSpec,
    holds_permit: bool,
    shields: Option<&mut Option<Arc<RunShields>>>,
) -> Pushed {
    let permit = if holds_permit { Permit::HeldBy(tokio::task::try_id()) } else { Permit::None };
    crate::context::stack::push(EntryKind::Run { spec, permit }, shields)
}

/// Whether it held a shields, or was given one: [`take_back`] returns it.
#[inline]
pub(crate) fn exit_run(pushed: Pushed) -> bool {
    crate::context::stack::pop(pushed)
}

/// Puts the shields of a run that has left into its place.
pub(crate) fn take_back(pushed: Pushed, shields: &mut Option<Arc<RunShields>>) {
    *shields = crate::context::stack::take_back(pushed);
}

/// Takes the entry off again, also where the code unwinds, and puts what it held back in its place.
struct EnterGuard<'a, T: StackRef> {
    pushed: Pushed,
    place: &'a mut Option<Arc<T>>,
}

impl<'a, T: StackRef> EnterGuard<'a, T> {
    #[inline]
    fn new(kind: EntryKind, place: &'a mut Option<Arc<T>>) -> Self {
        Self { pushed: crate::context::stack::push(kind, Some(place)), place }
    }
}

impl<T: StackRef> Drop for EnterGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if crate::context::stack::pop(self.pushed) {
            *self.place = crate::context::stack::take_back(self.pushed);
        }
    }
}

/// Looks at the entries, the innermost last. It may give runs their shields.
pub(crate) fn with_entries<R>(read: impl FnOnce(&mut [StackEntry]) -> R) -> R {
    let mut entries = crate::context::stack::take_all();
    let found = read(&mut entries);
    crate::context::stack::restore(entries);
    found
}

/// The part of the stack that is one task. The task itself is missing if tokio polls another one on top of it; the
/// runs of both are there then.
pub(crate) fn of_current_task(entries: &mut [StackEntry]) -> &mut [StackEntry] {
    let is_task = |entry: &StackEntry| matches!(entry, StackEntry::Task { .. });
    let from = entries.iter().rposition(is_task).unwrap_or(0);
    match &entries[from..] {
        [StackEntry::Task { record: Some(record) }, ..] if !record.is_current_tokio_task() => {
            &mut entries[from + 1..]
        }
        _ => &mut entries[from..],
    }
}

impl StackEntry {
    /// Lets someone refer to the run, if it is one.
    pub(crate) fn shields(&mut self) -> Option<&Arc<RunShields>> {
        match self {
            Self::Run { shields, .. } => Some(shields.get_or_insert_default()),
            Self::Task { .. } | Self::Section { .. } => None,
        }
    }

    /// The same, weakly, where it holds a permit.
    pub(crate) fn holder(&mut self) -> Option<Weak<RunShields>> {
        match self {
            Self::Run { permit, .. } if permit.is_held_here() => self.shields().map(Arc::downgrade),
            _ => None,
        }
    }
}

/// The scope of the code that runs now.
pub(crate) fn current_scope() -> Option<Arc<Scope>> {
    with_entries(|entries| {
        let now = tokio::task::try_id();
        of_current_task(entries).iter().rev().find_map(|entry| match entry {
            StackEntry::Task { record } => record.as_ref().map(|record| record.scope().clone()),
            StackEntry::Section { task, scope } if *task == now => scope.clone(),
            StackEntry::Section { .. } | StackEntry::Run { .. } => None,
        })
    })
}

/// Looks at the task that runs now, if it is one of ours.
pub(crate) fn current_record<R>(read: impl FnOnce(&Arc<TaskRecord>) -> R) -> Option<R> {
    with_entries(|entries| match of_current_task(entries).first() {
        Some(StackEntry::Task { record: Some(record) }) => Some(read(record)),
        _ => None,
    })
}

/// The run that is about to wait, or has waited, for its permit or its restart: where it is the task itself,
/// and not a call within, the task's record tells.
#[cold]
pub(crate) fn set_waiting(now: bool) {
    with_entries(|entries| {
        if let [StackEntry::Task { record: Some(record) }] = of_current_task(entries) {
            record.set_waiting(now);
        }
    });
}

/// The run that has been told to stop: where it is the task itself, the task's record tells.
#[cold]
pub(crate) fn set_stopping() {
    with_entries(|entries| {
        if let [StackEntry::Task { record: Some(record) }] = of_current_task(entries) {
            record.set_stopping();
        }
    });
}

/// Whether the scope of the task that runs now has been told to stop.
pub(crate) fn is_stopping() -> bool {
    current_record(|record| record.scope().is_stopping()).unwrap_or(false)
}

/// Why the code that runs now was cancelled, if its token has fired. It was seen uncancelled then.
pub(crate) fn cause(uncancelled: CancelEpoch) -> Cause {
    let cause = match current_scope() {
        Some(scope) => scope.cause_of(uncancelled),
        None => Scope::cause_of_main(uncancelled),
    };
    cause.unwrap_or(Cause::Token)
}
