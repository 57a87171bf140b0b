//! The input of a map: who has the source now, and which workers wait for it.
//!
//! The source is here while no thread uses it. A thread that uses it borrows it, and holds no lock meanwhile: an
//! iterator that blocks holds up the thread that reads, and nothing else. A worker whose stream is pending keeps it
//! borrowed between its polls, since its task is the one that the stream wakes.
//!
//! Invariants, checked by `state/loom.rs`
//!
//! 1. A worker waits only while the source is lent and will be put back, or while reading is paused. Otherwise nothing
//!    would wake it, and the map would hang.
//! 2. Code that closes the input gets every worker that waits, to wake them; code that puts the source back or ends the
//!    pause gets the one that has waited longest.

use std::{collections::VecDeque, task::Waker};

use crate::{
    map::item_source::{ItemSource, drop_source},
    panic::quietly,
    registry::slab::Key,
};

/// Under the lock of the map's state.
pub(crate) struct Input<I, F> {
    /// Boxed, since it is moved for each item. `None` while it is lent, and once reading has ended.
    source: Option<Box<ItemSource<I, F>>>,
    borrowed: Borrowed,
    /// No further item is to be read: exhausted, failed, cancelled or dropped.
    stopped: bool,
    /// The workers that wait for the source, by their keys, the longest first.
    queue: VecDeque<(Key, Waker)>,
}

/// Whether the source is lent, and will be put back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Borrowed {
    No,
    /// To check whether it has more, or to drop it.
    ToInspect,
    /// To a worker that reads an item, and has no run.
    ToRead,
}

/// The rest of a closed input, to be released outside the lock.
#[must_use]
pub(crate) struct ClosedInput<I, F> {
    source: Option<Box<ItemSource<I, F>>>,
    queue: VecDeque<(Key, Waker)>,
}

impl<I, F> ClosedInput<I, F> {
    /// Wakes the workers that waited, and drops the source.
    pub(crate) fn release(self) {
        drop_source(self.wake());
    }

    /// Wakes the workers that waited, and returns the source.
    pub(crate) fn wake(self) -> Option<Box<ItemSource<I, F>>> {
        for (_, waker) in self.queue {
            quietly(|| waker.wake());
        }
        self.source
    }
}

impl<I, F> Input<I, F> {
    pub(crate) fn new(items: I, f: F) -> Self {
        Self {
            source: Some(Box::new(ItemSource { items, f })),
            borrowed: Borrowed::No,
            stopped: false,
            queue: VecDeque::new(),
        }
    }

    /// Whether another item may be read, now or when the source is put back.
    pub(crate) fn is_open(&self) -> bool {
        (self.source.is_some() || self.borrowed != Borrowed::No) && !self.stopped
    }

    pub(crate) fn has_source(&self) -> bool {
        self.source.is_some()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(crate) fn is_being_read(&self) -> bool {
        self.borrowed == Borrowed::ToRead
    }

    /// Whether a worker that needs the source has to wait for it.
    pub(crate) fn is_lent(&self) -> bool {
        self.borrowed != Borrowed::No && !self.stopped
    }

    /// How many workers wait for the source or have it.
    pub(crate) fn workers(&self) -> usize {
        self.queue.len() + usize::from(self.borrowed != Borrowed::No)
    }

    pub(crate) fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Lends the source, unless it is lent.
    #[inline(always)]
    pub(crate) fn borrow(&mut self, borrowed: Borrowed) -> Option<Box<ItemSource<I, F>>> {
        let source = self.source.take()?;
        self.borrowed = borrowed;
        Some(source)
    }

    /// Takes the source back. Once reading has ended, returns it to be dropped outside the lock.
    #[inline(always)]
    pub(crate) fn put_back(
        &mut self,
        source: Box<ItemSource<I, F>>,
    ) -> Option<Box<ItemSource<I, F>>> {
        self.borrowed = Borrowed::No;
        if self.stopped {
            return Some(source);
        }
        self.source = Some(source);
        None
    }

    /// Ends the reading.
    pub(crate) fn close(&mut self) -> ClosedInput<I, F> {
        self.stopped = true;
        ClosedInput { source: self.source.take(), queue: std::mem::take(&mut self.queue) }
    }

    /// Like [`close`](Self::close), if the source is inspected before its drop: it is borrowed until
    /// [`put_back`](Self::put_back).
    pub(crate) fn close_to_inspect(&mut self) -> ClosedInput<I, F> {
        let closed = self.close();
        if closed.source.is_some() {
            self.borrowed = Borrowed::ToInspect;
        }
        closed
    }

    /// Adds a worker to the queue; false if there is nothing to wait for. With `is_paused`, no item is to be read now.
    pub(crate) fn enqueue(&mut self, key: Key, waker: Waker, is_paused: bool) -> bool {
        let waits = self.is_lent() || (is_paused && self.is_open());
        if waits {
            self.queue.push_back((key, waker));
        }
        waits
    }

    /// Removes a worker from the queue, if it is still there.
    pub(crate) fn dequeue(&mut self, key: Key) -> Option<Waker> {
        let at = self.queue.iter().position(|(queued, _)| *queued == key)?;
        self.queue.remove(at).map(|(_, waker)| waker)
    }

    /// Returns the worker to wake, if the source is in the state.
    pub(crate) fn pop_next(&mut self) -> Option<Waker> {
        self.source.as_ref()?;
        self.queue.pop_front().map(|(_, waker)| waker)
    }
}

impl<I, F> Drop for Input<I, F> {
    fn drop(&mut self) {
        drop_source(self.source.take());
    }
}
