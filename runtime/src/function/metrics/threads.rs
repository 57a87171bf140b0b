//! A small number for each living thread, reused when the thread has ended.
//!
//! Invariants, checked for every interleaving by `threads/loom.rs`, 3 by the test below
//!
//! 1. Two living threads never share a number other than [`SHARED`].
//! 2. The next owner of a number sees all that the last one wrote: the list of free ones is under a lock.
//! 3. There are [`LAST`] numbers. A thread that finds none free has a shared place until it ends: otherwise counters
//!    grow with the number of threads.

use std::{cell::Cell, sync::PoisonError};

use crate::{sync, sync::Mutex};

/// The number of a thread that has none: it is ending, its thread-locals are gone, or all numbers are taken.
const SHARED: usize = 0;

/// Boxes of places. With as many workers as a large machine has processors, each has its own place.
pub(crate) const BOXES: usize = 8;

const LAST: usize = (1 << BOXES) - 2;

/// Places in box 0. Threads without a number are spread over them: they do not all write the same cache line.
pub(crate) const SHARED_PLACES: usize = 8;

/// The position of a thread's share: its box, and the index in it. Box `n` has 2^n places, but for box 0, whose places
/// are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) at: usize,
    pub(crate) within: usize,
}

impl Place {
    /// One that several threads may use at once.
    pub(crate) const SHARED: Self = Self { at: 0, within: 0 };

    const UNKNOWN: Self = Self { at: usize::MAX, within: 0 };

    pub(crate) fn of(number: usize) -> Self {
        let at = (number + 1).ilog2() as usize;
        Self { at, within: number + 1 - (1 << at) }
    }

    fn number(self) -> usize {
        (1 << self.at) + self.within - 1
    }
}

sync::thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::UNKNOWN) };
    static RELEASED: ReleasedAtExit = const { ReleasedAtExit };
}

struct Free {
    next: usize,
    released: Vec<usize>,
    next_shared: usize,
}

impl Free {
    const ALL: Self = Self { next: SHARED + 1, released: Vec::new(), next_shared: 0 };

    fn take(&mut self) -> Place {
        if let Some(number) = self.released.pop() {
            return Place::of(number);
        }
        if self.next <= LAST {
            self.next += 1;
            return Place::of(self.next - 1);
        }
        let within = self.next_shared;
        self.next_shared = (within + 1) % SHARED_PLACES;
        Place { within, ..Place::SHARED }
    }
}

sync::global! {
    static FREE: Mutex<Free> = Mutex::new(Free::ALL);
}

/// This thread's place, if it has taken one already: there is no box for others.
#[inline]
pub(crate) fn place() -> Place {
    PLACE.with(Cell::get)
}

/// This thread's place, from now on.
pub(crate) fn acquire_place() -> Place {
    let known = place();
    if known != Place::UNKNOWN {
        return known;
    }
    // If the destructor cannot be registered, the number could never be released.
    let place = match RELEASED.try_with(|_| ()) {
        Ok(()) => FREE.lock().unwrap_or_else(PoisonError::into_inner).take(),
        Err(_) => Place::SHARED,
    };
    PLACE.with(|cell| cell.set(place));
    place
}

struct ReleasedAtExit;

impl Drop for ReleasedAtExit {
    fn drop(&mut self) {
        release_place();
    }
}

/// Takes the thread's place away from it.
pub(crate) fn release_place() {
    let Ok(place) = PLACE.try_with(|place| place.replace(Place::SHARED)) else { return };
    if place.at != Place::SHARED.at && place != Place::UNKNOWN {
        FREE.lock().unwrap_or_else(PoisonError::into_inner).released.push(place.number());
    }
}

#[cfg(all(test, supervised_loom))]
mod loom;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_thread_has_its_own_place() {
        let places: Vec<_> = (0..7).map(Place::of).collect();
        let expected = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (2, 3)];
        assert_eq!(places, expected.map(|(at, within)| Place { at, within }));
        assert!((0..=LAST).all(|number| Place::of(number).number() == number));
    }

    #[test]
    fn threads_beyond_the_last_number_share_the_places_of_box_0() {
        let mut free = Free::ALL;
        let own: HashSet<_> = (0..LAST).map(|_| free.take()).collect();
        assert_eq!(own.len(), LAST);
        assert!(own.iter().all(|place| (1..BOXES).contains(&place.at)));
        let shared: Vec<_> = (0..2 * SHARED_PLACES).map(|_| free.take()).collect();
        let expected = (0..SHARED_PLACES).cycle().map(|within| Place { at: 0, within });
        assert!(shared.into_iter().eq(expected.take(2 * SHARED_PLACES)));
        free.released.push(7);
        assert_eq!(free.take(), Place::of(7));
    }

    #[test]
    fn a_thread_releases_its_own_place_once() {
        std::thread::spawn(|| {
            let place = acquire_place();
            release_place();
            release_place();
            // A thread whose place is not known yet has no number.
            PLACE.with(|cell| cell.set(Place::UNKNOWN));
            release_place();
            let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            let released =
                |of: Place| free.released.iter().filter(|at| **at == of.number()).count();
            assert!(released(place) <= 1, "another thread may have taken it by now");
            assert_eq!(released(Place::SHARED), 0);
        })
        .join()
        .expect("it ends well");
    }
}
