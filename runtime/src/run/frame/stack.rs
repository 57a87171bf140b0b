//! A thread's stack of entries, in two parts: what each entry is, which is plain data in an array, and what
//! some of them hold, which is counted and lies aside.
//!
//! Invariants
//!
//! 1. An entry at depth `n` has at most one thing aside, under `n`, and says so.
//! 2. Entries leave in the reverse order of their coming, also where code unwinds.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use super::{super::row::Row, super::scope::Scope, Entry, Frame};
use crate::spec::TaskSpec;

/// What is nested deeper than this lies in a vector: recursion, as a rule.
const SHALLOW: usize = 32;

thread_local! {
    /// Nothing in it has to be dropped: it is there also while the thread ends.
    static ENTRIES: Entries = const {
        Entries { depth: Cell::new(0), shallow: [const { Cell::new(None) }; SHALLOW] }
    };
    static DEEP: RefCell<Vec<Option<Plain>>> = const { RefCell::new(Vec::new()) };
    static ASIDE: RefCell<Vec<(usize, Held)>> = const { RefCell::new(Vec::new()) };
}

struct Entries {
    depth: Cell<usize>,
    shallow: [Cell<Option<Plain>>; SHALLOW],
}

#[derive(Clone, Copy)]
struct Plain {
    kind: Kind,
    holds: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Task,
    Section,
    Run { spec: &'static TaskSpec, holds_permit: bool },
}

pub(super) enum Held {
    Row(Arc<Row>),
    Scope(Arc<Scope>),
    Frame(Arc<Frame>),
}

impl Held {
    pub(super) fn into_row(self) -> Option<Arc<Row>> {
        if let Self::Row(row) = self { Some(row) } else { None }
    }

    pub(super) fn into_scope(self) -> Option<Arc<Scope>> {
        if let Self::Scope(scope) = self { Some(scope) } else { None }
    }

    pub(super) fn into_frame(self) -> Option<Arc<Frame>> {
        if let Self::Frame(frame) = self { Some(frame) } else { None }
    }
}

/// Where an entry stands.
#[derive(Clone, Copy)]
pub(super) struct Pushed(usize);

#[inline]
pub(super) fn push(kind: Kind, held: Option<Held>) -> Pushed {
    let plain = Plain { kind, holds: held.is_some() };
    let depth = ENTRIES.with(|entries| {
        let depth = entries.depth.get();
        entries.depth.set(depth + 1);
        match entries.shallow.get(depth) {
            Some(place) => place.set(Some(plain)),
            None => push_deep(depth, plain),
        }
        depth
    });
    if let Some(held) = held {
        put_aside(depth, held);
    }
    Pushed(depth)
}

/// Takes an entry off; gives what it held, or has been given meanwhile.
#[inline]
pub(super) fn pop(Pushed(depth): Pushed) -> Option<Held> {
    let holds = ENTRIES.with(|entries| {
        entries.depth.set(depth);
        match entries.shallow.get(depth) {
            Some(place) => place.get().is_some_and(|plain| plain.holds),
            None => pop_deep(depth),
        }
    });
    if holds { take_from_aside(depth) } else { None }
}

#[cold]
fn push_deep(depth: usize, plain: Plain) {
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

/// Where the thread is ending there is no aside: what was held is let go of, and nothing is known of it.
fn put_aside(depth: usize, held: Held) {
    _ = ASIDE.try_with(|aside| aside.borrow_mut().push((depth, held)));
}

fn take_from_aside(depth: usize) -> Option<Held> {
    let taken = ASIDE.try_with(|aside| {
        let mut aside = aside.borrow_mut();
        // The innermost as a rule.
        let at = aside.iter().rposition(|(of, _)| *of == depth)?;
        Some(aside.swap_remove(at).1)
    });
    taken.ok().flatten()
}

fn plain(depth: usize) -> Option<Plain> {
    match ENTRIES.with(|entries| entries.shallow.get(depth).map(Cell::get)) {
        Some(plain) => plain,
        None => DEEP.try_with(|deep| deep.borrow().get(depth - SHALLOW).copied().flatten()).ok()?,
    }
}

/// All entries, with what they hold, the innermost last.
pub(super) fn take_all() -> Vec<Entry> {
    let depth = ENTRIES.with(|entries| entries.depth.get());
    let mut all: Vec<_> = (0..depth)
        .map(|depth| match plain(depth).map(|plain| plain.kind) {
            Some(Kind::Run { spec, holds_permit }) => {
                Entry::Run { spec, holds_permit, frame: None }
            }
            Some(Kind::Section) => Entry::Section { scope: None },
            Some(Kind::Task) | None => Entry::Task { row: None },
        })
        .collect();
    _ = ASIDE.try_with(|aside| {
        for (depth, held) in aside.borrow_mut().drain(..) {
            match (all.get_mut(depth), held) {
                (Some(Entry::Task { row }), Held::Row(held)) => *row = Some(held),
                (Some(Entry::Section { scope }), Held::Scope(held)) => *scope = Some(held),
                (Some(Entry::Run { frame, .. }), Held::Frame(held)) => *frame = Some(held),
                _ => {}
            }
        }
    });
    all
}

/// Puts back what [`take_all`] has taken, with what has been added.
pub(super) fn give_back(entries: Vec<Entry>) {
    for (depth, entry) in entries.into_iter().enumerate() {
        let held = match entry {
            Entry::Task { row } => row.map(Held::Row),
            Entry::Section { scope } => scope.map(Held::Scope),
            Entry::Run { frame, .. } => frame.map(Held::Frame),
        };
        let Some(held) = held else { continue };
        put_aside(depth, held);
        let holds = |plain: Plain| Plain { holds: true, ..plain };
        let shallow = ENTRIES.with(|entries| match entries.shallow.get(depth) {
            Some(place) => {
                place.set(place.get().map(holds));
                true
            }
            None => false,
        });
        if !shallow {
            _ = DEEP.try_with(|deep| {
                if let Some(Some(plain)) = deep.borrow_mut().get_mut(depth - SHALLOW) {
                    plain.holds = true;
                }
            });
        }
    }
}
