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

use super::{super::record::TaskRecord, super::scope::Scope, Entry, Permit, RunShields};
use crate::spec::TaskSpec;

/// What is nested deeper than this lies in a vector: recursion, as a rule.
const SHALLOW: usize = 32;

std::thread_local! {
    /// Nothing in it has to be dropped: it is there also while the thread ends.
    static ENTRIES: Entries = const {
        Entries { depth: Cell::new(0), shallow: [const { Place::empty() }; SHALLOW] }
    };
    static DEEP: RefCell<Vec<Option<Plain>>> = const { RefCell::new(Vec::new()) };
    static ASIDE: Aside = const {
        Aside {
            records: [const { Cell::new(None) }; SHALLOW],
            scopes: [const { Cell::new(None) }; SHALLOW],
            shields: [const { Cell::new(None) }; SHALLOW],
            deep: RefCell::new(Vec::new()),
        }
    };
}

struct Entries {
    depth: Cell<usize>,
    shallow: [Place; SHALLOW],
}

#[derive(Clone, Copy)]
struct Plain {
    kind: Kind,
    holds: bool,
}

/// Where a [`Plain`] lies, part by part: put together first, and moved as a whole, it would be read back before
/// the processor has it, which costs more than all the rest.
struct Place {
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

impl Place {
    const fn empty() -> Self {
        Self {
            tag: Cell::new(Tag::Task),
            holds: Cell::new(false),
            spec: Cell::new(None),
            task: Cell::new(None),
        }
    }

    #[inline]
    fn set(&self, kind: Kind, holds: bool) {
        self.holds.set(holds);
        match kind {
            Kind::Task => self.tag.set(Tag::Task),
            Kind::Section { task } => {
                self.tag.set(Tag::Section);
                self.task.set(task);
            }
            Kind::Run { spec, permit } => {
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

    fn get(&self) -> Plain {
        let kind = Kind::of((self.tag.get(), self.spec.get(), self.task.get()));
        Plain { kind, holds: self.holds.get() }
    }
}

/// A [`Kind`], each part by itself: they are passed in registers.
type Parts = (Tag, Option<&'static TaskSpec>, Option<Id>);

impl Kind {
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
pub(super) enum Kind {
    Task,
    Section { task: Option<Id> },
    Run { spec: &'static TaskSpec, permit: Permit },
}

type Places<T> = [Cell<Option<Arc<T>>>; SHALLOW];

/// What entries hold.
pub(super) struct Aside {
    records: Places<TaskRecord>,
    scopes: Places<Scope>,
    shields: Places<RunShields>,
    deep: RefCell<Vec<(usize, Held)>>,
}

pub(super) enum Held {
    TaskRecord(Arc<TaskRecord>),
    Scope(Arc<Scope>),
    RunShields(Arc<RunShields>),
}

/// Something that an entry of one kind holds.
pub(super) trait Holdable: Sized {
    fn places(aside: &Aside) -> &Places<Self>;
    fn into_held(this: Arc<Self>) -> Held;
    fn from_held(held: Held) -> Option<Arc<Self>>;
}

macro_rules! holdable {
    ($($type:ident in $places:ident;)*) => {$(
        impl Holdable for $type {
            #[inline]
            fn places(aside: &Aside) -> &Places<Self> {
                &aside.$places
            }

            fn into_held(this: Arc<Self>) -> Held {
                Held::$type(this)
            }

            fn from_held(held: Held) -> Option<Arc<Self>> {
                if let Held::$type(this) = held { Some(this) } else { None }
            }
        }
    )*};
}

holdable! {
    TaskRecord in records;
    Scope in scopes;
    RunShields in shields;
}

/// Where an entry stands.
#[derive(Clone, Copy)]
pub(in super::super) struct Pushed(usize);

/// Takes what the entry is to hold out of its place; it stays there where it cannot be put aside.
#[inline]
pub(super) fn push<T: Holdable>(kind: Kind, place: Option<&mut Option<Arc<T>>>) -> Pushed {
    let depth = ENTRIES.with(|entries| entries.depth.get());
    let holds = place.is_some_and(|place| place.is_some() && put_aside(depth, place));
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
pub(super) fn pop(Pushed(depth): Pushed) -> bool {
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
pub(super) fn take_back<T: Holdable>(Pushed(depth): Pushed) -> Option<Arc<T>> {
    take_from_aside(depth)
}

#[cold]
fn push_deep(depth: usize, parts: Parts, holds: bool) {
    let plain = Plain { kind: Kind::of(parts), holds };
    _ = DEEP.try_with(|deep| {
        let mut deep = deep.borrow_mut();
        deep.resize(depth - SHALLOW, None);
        deep.push(Some(plain));
    });
}

#[cold]
fn pop_deep(depth: usize) -> bool {
    let popped = DEEP.try_with(|deep| {
        let mut deep = deep.borrow_mut();
        let plain = deep.get(depth - SHALLOW).copied().flatten();
        deep.truncate(depth - SHALLOW);
        plain.is_some_and(|plain| plain.holds)
    });
    popped.unwrap_or(false)
}

/// Whether the thread had a place for it.
#[inline]
fn put_aside<T: Holdable>(depth: usize, place: &mut Option<Arc<T>>) -> bool {
    let put = ASIDE.try_with(|aside| match T::places(aside).get(depth) {
        Some(shallow) => shallow.set(place.take()),
        None => put_deep_aside(aside, depth, place.take().map(T::into_held)),
    });
    put.is_ok()
}

#[inline]
fn take_from_aside<T: Holdable>(depth: usize) -> Option<Arc<T>> {
    let taken = ASIDE.try_with(|aside| match T::places(aside).get(depth) {
        Some(shallow) => shallow.take(),
        None => take_from_deep_aside(aside, depth).and_then(T::from_held),
    });
    taken.ok().flatten()
}

#[cold]
fn put_deep_aside(aside: &Aside, depth: usize, held: Option<Held>) {
    aside.deep.borrow_mut().extend(held.map(|held| (depth, held)));
}

#[cold]
fn take_from_deep_aside(aside: &Aside, depth: usize) -> Option<Held> {
    let mut deep = aside.deep.borrow_mut();
    // The innermost as a rule.
    let at = deep.iter().rposition(|(of, _)| *of == depth)?;
    Some(deep.swap_remove(at).1)
}

fn plain(depth: usize) -> Option<Plain> {
    match ENTRIES.with(|entries| entries.shallow.get(depth).map(Place::get)) {
        Some(plain) => Some(plain),
        None => DEEP.try_with(|deep| deep.borrow().get(depth - SHALLOW).copied().flatten()).ok()?,
    }
}

/// All entries, with what they hold, the innermost last.
pub(super) fn take_all() -> Vec<Entry> {
    let depth = ENTRIES.with(|entries| entries.depth.get());
    (0..depth).map(take_entry).collect()
}

fn take_entry(depth: usize) -> Entry {
    let Some(Plain { kind, holds }) = plain(depth) else { return Entry::Task { record: None } };
    match kind {
        Kind::Task => Entry::Task { record: take_if(holds, depth) },
        Kind::Section { task } => Entry::Section { task, scope: take_if(holds, depth) },
        Kind::Run { spec, permit } => Entry::Run { spec, permit, shields: take_if(holds, depth) },
    }
}

fn take_if<T: Holdable>(holds: bool, depth: usize) -> Option<Arc<T>> {
    if holds { take_from_aside(depth) } else { None }
}

/// Puts back what [`take_all`] has taken, with what has been added.
pub(super) fn give_back(entries: Vec<Entry>) {
    for (depth, entry) in entries.into_iter().enumerate() {
        match entry {
            Entry::Task { record } => give(depth, record),
            Entry::Section { scope, .. } => give(depth, scope),
            Entry::Run { shields, .. } => give(depth, shields),
        }
    }
}

fn give<T: Holdable>(depth: usize, mut held: Option<Arc<T>>) {
    if held.is_none() {
        return;
    }
    let holds = put_aside(depth, &mut held);
    let shallow = ENTRIES.with(|entries| match entries.shallow.get(depth) {
        Some(place) => {
            place.holds.set(holds);
            true
        }
        None => false,
    });
    if !shallow {
        _ = DEEP.try_with(|deep| {
            if let Some(Some(plain)) = deep.borrow_mut().get_mut(depth - SHALLOW) {
                plain.holds = holds;
            }
        });
    }
}
