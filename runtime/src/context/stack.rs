//! A thread's stack of entries: the runs that are polled on it, and the tasks and sections around them. It has two
//! parts: headers, which are plain data in an array, and the references that some entries hold, which are stored in
//! separate arrays.
//!
//! Most runs hold no reference: entering and exiting are then two stores, with nothing to count, allocate or drop.
//!
//! Invariants
//!
//! 1. An entry at depth `n` holds at most one reference, under `n`, and its header says if it does. Otherwise an entry
//!    would take over the reference of an earlier one.
//! 2. Entries are popped in the reverse order of their pushes, also when code unwinds.
//! 3. While the thread ends, no reference can be stored: it stays with the caller of [`push`], and other code cannot
//!    find it.
//! 4. No user code runs while the stack is borrowed: it may push entries.
//! 5. The entries below may belong to another tokio task: a run that drives a `LocalSet` polls the tasks of others. Tasks
//!    and sections, and runs that hold a permit, know the tokio task that they are polled in, and count for its code
//!    alone. (`tests/spec/composition/run_reports.rs`)

use std::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{task::Id, time::Instant};

use crate::{
    clock::Ticks,
    context::shields::RunShields,
    context::tree::{ScopeNode, TaskRecord},
    function::TaskSpec,
};

pub(crate) enum StackEntry {
    /// The entries below belong to another task, or to none.
    Task { record: Option<Arc<TaskRecord>> },
    /// A section of a task, such as a shield, with its own cancellation scope. Instead of that, a shield that was not
    /// pending yet has its times.
    Section { task: Option<Id>, scope: Option<Arc<ScopeNode>>, times: Option<RunTimes> },
    Run {
        spec: &'static TaskSpec,
        permit: Permit,
        shields: Option<Arc<RunShields>>,
        times: Option<RunTimes>,
    },
}

/// The deadline of a run that has a timeout or per-call options, or of a shield that was not pending yet.
#[derive(Clone, Copy)]
pub(crate) struct RunTimes {
    /// The start of the body, or of the section.
    pub(crate) since: Ticks,
    /// The end of the timeout or of the grace, once a timer runs.
    pub(crate) deadline: Option<Instant>,
    /// The options that differ from those of the function.
    pub(crate) own: Option<OwnTimes>,
}

#[derive(Clone, Copy)]
pub(crate) struct OwnTimes {
    pub(crate) timeout: Option<Duration>,
    pub(crate) grace: Option<Duration>,
}

impl RunTimes {
    /// The times of a shield whose timer does not run.
    pub(crate) fn of_shield(since: Ticks, limit: Duration) -> Self {
        let own = OwnTimes { timeout: Some(limit), grace: None };
        Self { since, deadline: None, own: Some(own) }
    }

    /// The deadline, with `timeout` unless it has its own.
    pub(crate) fn deadline(&self, timeout: Option<Duration>) -> Option<Instant> {
        if self.deadline.is_some() {
            return self.deadline;
        }
        let timeout = self.own.map_or(timeout, |own| own.timeout)?;
        Instant::now().checked_add(timeout.saturating_sub(self.since.elapsed_by_tokio()))
    }
}

/// Whether a run that is being polled holds a permit.
#[derive(Clone, Copy)]
pub(crate) enum Permit {
    None,
    /// The run is polled in this tokio task, or in none.
    HeldBy(Option<Id>),
}

impl Permit {
    /// Whether the run holds a permit and is polled in the same tokio task as the current code: it cannot release the
    /// permit while that waits.
    pub(crate) fn is_held_here(self) -> bool {
        matches!(self, Self::HeldBy(task) if task == tokio::task::try_id())
    }
}

/// Deeper entries, usually of a recursion, are in a vector.
const SHALLOW: usize = 32;

std::thread_local! {
    /// It has nothing to drop: it exists even while the thread ends.
    static ENTRIES: Entries = const {
        Entries { depth: Cell::new(0), shallow: [const { HeaderCell::empty() }; SHALLOW] }
    };
    static DEEP: RefCell<Vec<Option<EntryHeader>>> = const { RefCell::new(Vec::new()) };
    static HELD_REFS: HeldRefs = const {
        HeldRefs {
            records: [const { Cell::new(None) }; SHALLOW],
            scopes: [const { Cell::new(None) }; SHALLOW],
            shields: [const { Cell::new(None) }; SHALLOW],
            deep: RefCell::new(Vec::new()),
        }
    };
}

struct Entries {
    depth: Cell<usize>,
    shallow: [HeaderCell; SHALLOW],
}

#[derive(Clone, Copy)]
struct EntryHeader {
    kind: EntryKind,
    holds: bool,
    times: Option<RunTimes>,
}

/// An [`EntryHeader`], stored part by part. Assembled first and moved as a whole, it would be read back before the stores
/// have completed, which costs more than all the rest.
struct HeaderCell {
    tag: Cell<Tag>,
    holds: Cell<bool>,
    spec: Cell<Option<&'static TaskSpec>>,
    /// Of a section, and of a run with a permit.
    task: Cell<Option<Id>>,
    /// Which of the following parts are those of the entry.
    timed: Cell<Timed>,
    since: Cell<Ticks>,
    deadline: Cell<Option<Instant>>,
    own: Cell<OwnTimes>,
}

#[derive(Clone, Copy)]
enum Timed {
    No,
    AsFunction,
    AsCall,
}

#[derive(Clone, Copy)]
enum Tag {
    Task,
    Section,
    Run,
    RunWithPermit,
}

impl HeaderCell {
    const fn empty() -> Self {
        Self {
            tag: Cell::new(Tag::Task),
            holds: Cell::new(false),
            spec: Cell::new(None),
            task: Cell::new(None),
            timed: Cell::new(Timed::No),
            since: Cell::new(Ticks::NEVER),
            deadline: Cell::new(None),
            own: Cell::new(OwnTimes { timeout: None, grace: None }),
        }
    }

    #[inline]
    fn set(&self, kind: EntryKind, holds: bool) {
        self.holds.set(holds);
        self.timed.set(Timed::No);
        match kind {
            EntryKind::Task => self.tag.set(Tag::Task),
            EntryKind::Section { task } => {
                self.tag.set(Tag::Section);
                self.task.set(task);
            }
            EntryKind::Run { spec, permit } => {
                self.spec.set(Some(spec));
                match permit {
                    Permit::None => self.tag.set(Tag::Run),
                    Permit::HeldBy(task) => {
                        self.tag.set(Tag::RunWithPermit);
                        self.task.set(task);
                    }
                }
            }
        }
    }

    fn get(&self) -> EntryHeader {
        let kind = EntryKind::of((self.tag.get(), self.spec.get(), self.task.get()));
        EntryHeader { kind, holds: self.holds.get(), times: self.times() }
    }

    #[inline]
    fn set_times(&self, RunTimes { since, deadline, own }: RunTimes) {
        self.since.set(since);
        self.deadline.set(deadline);
        match own {
            None => self.timed.set(Timed::AsFunction),
            Some(own) => {
                self.timed.set(Timed::AsCall);
                self.own.set(own);
            }
        }
    }

    fn times(&self) -> Option<RunTimes> {
        let own = match self.timed.get() {
            Timed::No => return None,
            Timed::AsFunction => None,
            Timed::AsCall => Some(self.own.get()),
        };
        Some(RunTimes { since: self.since.get(), deadline: self.deadline.get(), own })
    }
}

/// An [`EntryKind`] in parts, which are passed in registers.
type Parts = (Tag, Option<&'static TaskSpec>, Option<Id>);

impl EntryKind {
    #[inline]
    fn parts(self) -> Parts {
        match self {
            Self::Task => (Tag::Task, None, None),
            Self::Section { task } => (Tag::Section, None, task),
            Self::Run { spec, permit: Permit::None } => (Tag::Run, Some(spec), None),
            Self::Run { spec, permit: Permit::HeldBy(task) } => {
                (Tag::RunWithPermit, Some(spec), task)
            }
        }
    }

    fn of((tag, spec, task): Parts) -> Self {
        let run = |permit| {
            let spec = spec.expect("an entry of a run has its function");
            Self::Run { spec, permit }
        };
        match tag {
            Tag::Task => Self::Task,
            Tag::Section => Self::Section { task },
            Tag::Run => run(Permit::None),
            Tag::RunWithPermit => run(Permit::HeldBy(task)),
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum EntryKind {
    Task,
    Section { task: Option<Id> },
    Run { spec: &'static TaskSpec, permit: Permit },
}

type RefCells<T> = [Cell<Option<Arc<T>>>; SHALLOW];

/// The references that entries hold.
pub(crate) struct HeldRefs {
    records: RefCells<TaskRecord>,
    scopes: RefCells<ScopeNode>,
    shields: RefCells<RunShields>,
    deep: RefCell<Vec<(usize, AnyRef)>>,
}

pub(crate) enum AnyRef {
    TaskRecord(Arc<TaskRecord>),
    ScopeNode(Arc<ScopeNode>),
    RunShields(Arc<RunShields>),
}

/// A reference that entries of one kind hold.
pub(crate) trait StackRef: Sized {
    fn cells(refs: &HeldRefs) -> &RefCells<Self>;
    fn into_any(this: Arc<Self>) -> AnyRef;
    fn from_any(held: AnyRef) -> Option<Arc<Self>>;
}

macro_rules! stack_refs {
    ($($type:ident in $cells:ident;)*) => {$(
        impl StackRef for $type {
            #[inline]
            fn cells(refs: &HeldRefs) -> &RefCells<Self> {
                &refs.$cells
            }

            fn into_any(this: Arc<Self>) -> AnyRef {
                AnyRef::$type(this)
            }

            fn from_any(held: AnyRef) -> Option<Arc<Self>> {
                if let AnyRef::$type(this) = held { Some(this) } else { None }
            }
        }
    )*};
}

stack_refs! {
    TaskRecord in records;
    ScopeNode in scopes;
    RunShields in shields;
}

/// The depth of an entry that was pushed.
// Half a word: a run keeps it beside the mark of the code around.
#[derive(Clone, Copy)]
pub(crate) struct Pushed(u32);

impl Pushed {
    #[inline]
    fn depth(self) -> usize {
        self.0 as usize
    }
}

/// Pushes an entry, and moves its reference out of `place`. The reference stays there if it cannot be stored.
#[inline]
pub(crate) fn push<T: StackRef>(kind: EntryKind, place: Option<&mut Option<Arc<T>>>) -> Pushed {
    let depth = ENTRIES.with(|entries| entries.depth.get());
    let holds = place.is_some_and(|place| place.is_some() && put_ref(depth, place));
    let is_shallow = ENTRIES.with(|entries| {
        entries.depth.set(depth + 1);
        let place = entries.shallow.get(depth);
        place.is_some_and(|place| {
            place.set(kind, holds);
            true
        })
    });
    if !is_shallow {
        push_deep(depth, kind.parts(), holds);
    }
    Pushed(depth as u32)
}

/// Sets the times of a run or a section that was pushed.
#[inline]
pub(crate) fn set_times(pushed: Pushed, times: RunTimes) {
    let depth = pushed.depth();
    let is_shallow = ENTRIES.with(|entries| {
        let place = entries.shallow.get(depth);
        place.is_some_and(|place| {
            place.set_times(times);
            true
        })
    });
    if !is_shallow {
        set_deep_times(depth, times);
    }
}

#[cold]
fn set_deep_times(depth: usize, times: RunTimes) {
    _ = DEEP.try_with(|deep| {
        if let Some(Some(header)) = deep.borrow_mut().get_mut(depth - SHALLOW) {
            header.times = Some(times);
        }
    });
}

/// Pops an entry. Returns whether it holds a reference, from [`push`] or from meanwhile; [`take_back`] returns that.
#[inline]
pub(crate) fn pop(pushed: Pushed) -> bool {
    let depth = pushed.depth();
    ENTRIES.with(|entries| {
        entries.depth.set(depth);
        match entries.shallow.get(depth) {
            Some(place) => place.holds.get(),
            None => pop_deep(depth),
        }
    })
}

/// Whether an entry that was popped was directly above that of its task; `None` if no entry was below it.
#[inline]
pub(crate) fn is_in_task(pushed: Pushed) -> Option<bool> {
    let depth = pushed.depth();
    let below = depth.checked_sub(1)?;
    ENTRIES.with(|entries| Some(matches!(entries.shallow.get(below)?.tag.get(), Tag::Task)))
}

/// Calls `read` with the record of the current task, and with the number of its runs around an entry that was popped.
/// Does nothing if the entry was not that of a run of the task.
#[inline]
pub(crate) fn with_task_of(pushed: Pushed, read: impl FnOnce(&TaskRecord, usize)) {
    let depth = pushed.depth();
    let found = ENTRIES.with(|entries| {
        let around = entries.shallow.get(..depth)?;
        let mut runs = 0;
        for (at, entry) in around.iter().enumerate().rev() {
            match entry.tag.get() {
                Tag::Task => return Some((at, runs)),
                Tag::Section => {}
                Tag::Run | Tag::RunWithPermit => runs += 1,
            }
        }
        None
    });
    let Some((task, runs)) = found else { return };
    _ = HELD_REFS.try_with(|refs| {
        let record = refs.records[task].take();
        // Runs of a task that is polled inside another one do not belong to the outer task.
        if let Some(record) = record.as_ref().filter(|record| record.is_current_tokio_task()) {
            read(record, runs);
        }
        refs.records[task].set(record);
    });
}

/// The reference of an entry that was popped.
#[inline]
pub(crate) fn take_back<T: StackRef>(pushed: Pushed) -> Option<Arc<T>> {
    let depth = pushed.depth();
    take_ref(depth)
}

#[cold]
fn push_deep(depth: usize, parts: Parts, holds: bool) {
    let header = EntryHeader { kind: EntryKind::of(parts), holds, times: None };
    _ = DEEP.try_with(|deep| {
        let mut deep = deep.borrow_mut();
        deep.resize(depth - SHALLOW, None);
        deep.push(Some(header));
    });
}

#[cold]
fn pop_deep(depth: usize) -> bool {
    let popped = DEEP.try_with(|deep| {
        let mut deep = deep.borrow_mut();
        let header = deep.get(depth - SHALLOW).copied().flatten();
        deep.truncate(depth - SHALLOW);
        header.is_some_and(|header| header.holds)
    });
    popped.unwrap_or(false)
}

/// Returns whether the thread could store it.
#[inline]
fn put_ref<T: StackRef>(depth: usize, place: &mut Option<Arc<T>>) -> bool {
    let put = HELD_REFS.try_with(|refs| match T::cells(refs).get(depth) {
        Some(shallow) => shallow.set(place.take()),
        None => put_deep_ref(refs, depth, place.take().map(T::into_any)),
    });
    put.is_ok()
}

#[inline]
fn take_ref<T: StackRef>(depth: usize) -> Option<Arc<T>> {
    let taken = HELD_REFS.try_with(|refs| match T::cells(refs).get(depth) {
        Some(shallow) => shallow.take(),
        None => take_deep_ref(refs, depth).and_then(T::from_any),
    });
    taken.ok().flatten()
}

#[cold]
fn put_deep_ref(refs: &HeldRefs, depth: usize, held: Option<AnyRef>) {
    refs.deep.borrow_mut().extend(held.map(|held| (depth, held)));
}

#[cold]
fn take_deep_ref(refs: &HeldRefs, depth: usize) -> Option<AnyRef> {
    let mut deep = refs.deep.borrow_mut();
    // Usually the innermost.
    let at = deep.iter().rposition(|(of, _)| *of == depth)?;
    Some(deep.swap_remove(at).1)
}

fn header(depth: usize) -> Option<EntryHeader> {
    match ENTRIES.with(|entries| entries.shallow.get(depth).map(HeaderCell::get)) {
        Some(header) => Some(header),
        None => DEEP.try_with(|deep| deep.borrow().get(depth - SHALLOW).copied().flatten()).ok()?,
    }
}

/// Calls `read` with all entries, the innermost last. It may give runs their shields.
pub(crate) fn with_entries<R>(read: impl FnOnce(&mut [StackEntry]) -> R) -> R {
    let mut entries: Vec<_> = (0..depth()).map(take_entry).collect();
    let found = read(&mut entries);
    for (depth, entry) in entries.into_iter().enumerate() {
        restore(depth, entry);
    }
    found
}

/// Calls `visit` with one entry after the other, the innermost first, until it breaks. It may give runs their shields.
/// Cheaper than [`with_entries`], which shows all of them at once.
pub(crate) fn visit_entries<B>(
    mut visit: impl FnMut(&mut StackEntry) -> ControlFlow<B>,
) -> ControlFlow<B> {
    for depth in (0..depth()).rev() {
        let mut entry = take_entry(depth);
        let visited = visit(&mut entry);
        restore(depth, entry);
        visited?;
    }
    ControlFlow::Continue(())
}

/// Like [`visit_entries`], with the entries of the current task alone, as in [`of_current_task`].
pub(crate) fn visit_own_entries<B>(
    mut visit: impl FnMut(&mut StackEntry) -> ControlFlow<B>,
) -> Option<B> {
    let visited = visit_entries(|entry| {
        let StackEntry::Task { record } = &*entry else { return visit(entry).map_break(Some) };
        let is_own = record.as_ref().is_none_or(|record| record.is_current_tokio_task());
        let found = if is_own { visit(entry).break_value() } else { None };
        ControlFlow::Break(found)
    });
    visited.break_value().flatten()
}

/// Whether an entry above that of the nearest task may hold a reference.
#[inline]
pub(crate) fn any_held_in_task() -> bool {
    ENTRIES.with(|entries| {
        let Some(shallow) = entries.shallow.get(..entries.depth.get()) else { return true };
        let mut above =
            shallow.iter().rev().take_while(|entry| !matches!(entry.tag.get(), Tag::Task));
        above.any(|entry| entry.holds.get())
    })
}

fn depth() -> usize {
    ENTRIES.with(|entries| entries.depth.get())
}

/// The entries of the current task. The task's own entry is missing if tokio polls another task on top of it; the runs
/// of both are included then.
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
    /// The shields of a run, made by the first call; `None` for other entries.
    pub(crate) fn shields(&mut self) -> Option<&Arc<RunShields>> {
        match self {
            Self::Run { shields, .. } => Some(shields.get_or_insert_default()),
            Self::Task { .. } | Self::Section { .. } => None,
        }
    }

    /// Returns the counter of the shields in this entry: a run, or a section with a deadline.
    pub(crate) fn counted_shields(&mut self) -> Option<&Arc<RunShields>> {
        match self {
            Self::Run { shields, .. } => Some(shields.get_or_insert_default()),
            Self::Section { scope, .. } => scope.as_ref().and_then(|scope| scope.shields()),
            Self::Task { .. } => None,
        }
    }

    /// Returns a weak reference to that counter, if the run holds a permit.
    pub(crate) fn holder(&mut self) -> Option<Weak<RunShields>> {
        match self {
            Self::Run { permit, .. } if permit.is_held_here() => self.shields().map(Arc::downgrade),
            _ => None,
        }
    }
}

/// Takes an entry, with its reference.
fn take_entry(depth: usize) -> StackEntry {
    let Some(EntryHeader { kind, holds, times }) = header(depth) else {
        return StackEntry::Task { record: None };
    };
    match kind {
        EntryKind::Task => StackEntry::Task { record: take_ref_if(holds, depth) },
        EntryKind::Section { task } => {
            StackEntry::Section { task, scope: take_ref_if(holds, depth), times }
        }
        EntryKind::Run { spec, permit } => {
            StackEntry::Run { spec, permit, shields: take_ref_if(holds, depth), times }
        }
    }
}

fn take_ref_if<T: StackRef>(holds: bool, depth: usize) -> Option<Arc<T>> {
    if holds { take_ref(depth) } else { None }
}

/// Restores an entry that [`take_entry`] removed, with the reference added since.
fn restore(depth: usize, entry: StackEntry) {
    match entry {
        StackEntry::Task { record } => put_back(depth, record),
        StackEntry::Section { scope, .. } => put_back(depth, scope),
        StackEntry::Run { shields, .. } => put_back(depth, shields),
    }
}

fn put_back<T: StackRef>(depth: usize, mut held: Option<Arc<T>>) {
    if held.is_none() {
        return;
    }
    let holds = put_ref(depth, &mut held);
    let shallow = ENTRIES.with(|entries| match entries.shallow.get(depth) {
        Some(place) => {
            place.holds.set(holds);
            true
        }
        None => false,
    });
    if !shallow {
        _ = DEEP.try_with(|deep| {
            if let Some(Some(header)) = deep.borrow_mut().get_mut(depth - SHALLOW) {
                header.holds = holds;
            }
        });
    }
}
