//! A thread's stack of entries, in two parts: what each entry is, which is plain data in an array, and what
//! some of them hold, which is counted and lies aside.
//!
//! Invariants
//!
//! 1. An entry at depth `n` has at most one thing aside, under `n`, and says so.
//! 2. Entries leave in the reverse order of their coming, also where code unwinds.
//! 3. Where the thread is ending there is no aside: what an entry would hold stays with who enters, and nothing
//!    is known of it.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use tokio::task::Id;

use crate::function::TaskSpec;
use crate::{
    context::Scope,
    context::shields::{Permit, RunShields, StackEntry},
    context::tree::TaskRecord,
};

/// What is nested deeper than this lies in a vector: recursion, as a rule.
const SHALLOW: usize = 32;

std::thread_local! {
    /// Nothing in it has to be dropped: it is there also while the thread ends.
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
}

/// Where a [`EntryHeader`] lies, part by part: put together first, and moved as a whole, it would be read back before
/// the processor has it, which costs more than all the rest.
struct HeaderCell {
    tag: Cell<Tag>,
    holds: Cell<bool>,
    spec: Cell<Option<&'static TaskSpec>>,
    /// Of a section, and of a run with a permit.
    task: Cell<Option<Id>>,
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
        }
    }

    #[inline]
    fn set(&self, kind: EntryKind, holds: bool) {
        self.holds.set(holds);
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
        EntryHeader { kind, holds: self.holds.get() }
    }
}

/// A [`EntryKind`], each part by itself: they are passed in registers.
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

/// What entries hold.
pub(crate) struct HeldRefs {
    records: RefCells<TaskRecord>,
    scopes: RefCells<Scope>,
    shields: RefCells<RunShields>,
    deep: RefCell<Vec<(usize, AnyRef)>>,
}

pub(crate) enum AnyRef {
    TaskRecord(Arc<TaskRecord>),
    Scope(Arc<Scope>),
    RunShields(Arc<RunShields>),
}

/// Something that an entry of one kind holds.
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
    Scope in scopes;
    RunShields in shields;
}

/// Where an entry stands.
#[derive(Clone, Copy)]
pub(crate) struct Pushed(usize);

/// Takes what the entry is to hold out of its place; it stays there where it cannot be put aside.
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
    Pushed(depth)
}

/// Takes an entry off. Whether it held something, or has been given it meanwhile, which [`take_back`] returns.
#[inline]
pub(crate) fn pop(Pushed(depth): Pushed) -> bool {
    ENTRIES.with(|entries| {
        entries.depth.set(depth);
        match entries.shallow.get(depth) {
            Some(place) => place.holds.get(),
            None => pop_deep(depth),
        }
    })
}

/// What an entry that was taken off has held.
#[inline]
pub(crate) fn take_back<T: StackRef>(Pushed(depth): Pushed) -> Option<Arc<T>> {
    take_ref(depth)
}

#[cold]
fn push_deep(depth: usize, parts: Parts, holds: bool) {
    let header = EntryHeader { kind: EntryKind::of(parts), holds };
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

/// Whether the thread had a place for it.
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
    // The innermost as a rule.
    let at = deep.iter().rposition(|(of, _)| *of == depth)?;
    Some(deep.swap_remove(at).1)
}

fn header(depth: usize) -> Option<EntryHeader> {
    match ENTRIES.with(|entries| entries.shallow.get(depth).map(HeaderCell::get)) {
        Some(header) => Some(header),
        None => DEEP.try_with(|deep| deep.borrow().get(depth - SHALLOW).copied().flatten()).ok()?,
    }
}

/// All entries, with what they hold, the innermost last.
pub(crate) fn take_all() -> Vec<StackEntry> {
    let depth = ENTRIES.with(|entries| entries.depth.get());
    (0..depth).map(take_entry).collect()
}

fn take_entry(depth: usize) -> StackEntry {
    let Some(EntryHeader { kind, holds }) = header(depth) else {
        return StackEntry::Task { record: None };
    };
    match kind {
        EntryKind::Task => StackEntry::Task { record: take_ref_if(holds, depth) },
        EntryKind::Section { task } => {
            StackEntry::Section { task, scope: take_ref_if(holds, depth) }
        }
        EntryKind::Run { spec, permit } => {
            StackEntry::Run { spec, permit, shields: take_ref_if(holds, depth) }
        }
    }
}

fn take_ref_if<T: StackRef>(holds: bool, depth: usize) -> Option<Arc<T>> {
    if holds { take_ref(depth) } else { None }
}

/// Puts back what [`take_all`] has taken, with what has been added.
pub(crate) fn restore(entries: Vec<StackEntry>) {
    for (depth, entry) in entries.into_iter().enumerate() {
        match entry {
            StackEntry::Task { record } => put_back(depth, record),
            StackEntry::Section { scope, .. } => put_back(depth, scope),
            StackEntry::Run { shields, .. } => put_back(depth, shields),
        }
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
