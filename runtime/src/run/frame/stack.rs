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
    static ASIDE: [Cell<Option<Held>>; SHALLOW] = const { [const { Cell::new(None) }; SHALLOW] };
    static DEEP_ASIDE: RefCell<Vec<(usize, Held)>> = const { RefCell::new(Vec::new()) };
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

/// Gives back what could not be put aside.
#[inline]
pub(super) fn push(kind: Kind, held: Option<Held>) -> (Pushed, Option<Held>) {
    let depth = ENTRIES.with(|entries| entries.depth.get());
    // By arms: where there is none there is nothing to drop.
    let refused = match held {
        None => return (push_plain(depth, Plain { kind, holds: false }), None),
        Some(held) => put_aside(depth, held),
    };
    (push_plain(depth, Plain { kind, holds: refused.is_none() }), refused)
}

#[inline]
fn push_plain(depth: usize, plain: Plain) -> Pushed {
    ENTRIES.with(|entries| {
        entries.depth.set(depth + 1);
        match entries.shallow.get(depth) {
            Some(place) => place.set(Some(plain)),
            None => push_deep(depth, plain),
        }
    });
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

/// Gives it back where the thread has no place for it.
#[inline]
fn put_aside(depth: usize, held: Held) -> Option<Held> {
    let mut held = Some(held);
    if depth < SHALLOW {
        _ = ASIDE.try_with(|aside| aside[depth].set(held.take()));
    } else {
        let deep = |aside: &RefCell<Vec<_>>| {
            aside.borrow_mut().extend(held.take().map(|held| (depth, held)));
        };
        _ = DEEP_ASIDE.try_with(deep);
    }
    held
}

#[inline]
fn take_from_aside(depth: usize) -> Option<Held> {
    if depth < SHALLOW {
        return ASIDE.try_with(|aside| aside[depth].take()).ok().flatten();
    }
    let taken = DEEP_ASIDE.try_with(|aside| {
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
    (0..depth).map(take_entry).collect()
}

fn take_entry(depth: usize) -> Entry {
    let Some(Plain { kind, holds }) = plain(depth) else { return Entry::Task { row: None } };
    let held = if holds { take_from_aside(depth) } else { None };
    match kind {
        Kind::Task => Entry::Task { row: held.and_then(Held::into_row) },
        Kind::Section => Entry::Section { scope: held.and_then(Held::into_scope) },
        Kind::Run { spec, holds_permit } => {
            Entry::Run { spec, holds_permit, frame: held.and_then(Held::into_frame) }
        }
    }
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
        let holds = put_aside(depth, held).is_none();
        let holds = |plain: Plain| Plain { holds, ..plain };
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
                    *plain = holds(*plain);
                }
            });
        }
    }
}
