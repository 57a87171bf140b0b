//! Runs that a runner of a map has pulled ahead: where runs are so short that the map's lock costs more than they
//! do, it is taken once for many.
//!
//! A batch doubles while its runs are quick, and while the iterator has as many items by its own account and
//! reads them quickly: one that waits for its next item (the lines of a pipe, a channel) says that it may have
//! none, and is read item by item. As soon as a run is pending or long, what has not begun is given back, so
//! that other runners can begin it.

use std::collections::VecDeque;

use super::{ordered::Index, source::Source};
use crate::clock::Ticks;

/// From how many nanoseconds on a run is long: a share of such runs pays for another thread.
pub(super) const LONG: u64 = 1_000;

pub(super) struct Batch<S, T> {
    size: usize,
    most: usize,
    /// How many the last read gave.
    read: usize,
    /// In a row, of the largest size.
    full: usize,
    /// Not begun, in their order.
    pub(super) ahead: VecDeque<(Index, S)>,
    /// Not yet in their places.
    pub(super) ends: Vec<(Index, T)>,
}

impl<S, T> Batch<S, T> {
    const MOST: usize = 32;

    pub(super) fn new() -> Self {
        // A run that is pulled ahead is moved once more.
        let most = if size_of::<S>() <= 1024 { Self::MOST } else { 1 };
        Self { size: 1, most, read: 0, full: 0, ahead: VecDeque::new(), ends: Vec::new() }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// How many may be pulled now.
    pub(super) fn wanted<I: Iterator, F>(&self, source: &Source<I, F>) -> usize {
        if self.size == 1 { 1 } else { source.at_least().clamp(1, self.size) }
    }

    /// All of a batch were quick; true where another runner could do as many more.
    pub(super) fn was_quick(&mut self) -> bool {
        if self.read < self.size {
            return false;
        }
        if self.size < self.most {
            self.size *= 2;
            return false;
        }
        self.full += 1;
        // Now and then, since it takes the lock once more.
        self.most > 1 && self.full % 4 == 0
    }

    /// A run was pending or long.
    pub(super) fn was_slow(&mut self) {
        self.size = 1;
        self.full = 0;
    }

    /// So many items were read, since then if there were several: if that took long, never more than one again.
    #[inline]
    pub(super) fn were_read(&mut self, items: usize, since: Option<Ticks>) {
        self.read = items;
        if since.is_some_and(|since| since.elapsed_nanos() > items as u64 * LONG) {
            (self.size, self.most) = (1, 1);
        }
    }
}
