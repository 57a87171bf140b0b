//! A small number for each living thread, used again when the thread has ended.
//!
//! Invariants, checked for every interleaving by `threads/loom.rs`
//!
//! 1. Two living threads never share a number other than [`SHARED`].
//! 2. The next owner of a number sees all that the last one wrote: the list of free ones is under a lock.

use std::{cell::Cell, sync::PoisonError};

use crate::sync::{self, Mutex};

/// The number of a thread that has none: it is ending, or its thread-locals are gone.
const SHARED: usize = 0;

/// Where the share of a thread is: in which box, and where in it. Box `n` has 2^n places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) within: usize,
}

impl Place {
    /// The one that several threads may use at once.
    pub(super) const SHARED: Self = Self { at: 0, within: 0 };

    const UNKNOWN: Self = Self { at: usize::MAX, within: 0 };

    pub(super) fn of(number: usize) -> Self {
        let at = (number + 1).ilog2() as usize;
        Self { at, within: number + 1 - (1 << at) }
    }

    fn number(self) -> usize {
        (1 << self.at) + self.within - 1
    }
}

sync::thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::UNKNOWN) };
    static RETURNED: ReturnedAtExit = const { ReturnedAtExit };
}

struct Free {
    next: usize,
    returned: Vec<usize>,
}

sync::global! {
    static FREE: Mutex<Free> = Mutex::new(Free { next: SHARED + 1, returned: Vec::new() });
}

/// This thread's place, if it has taken one already: there is no box for others.
#[inline]
pub(super) fn place() -> Place {
    PLACE.with(Cell::get)
}

/// This thread's place, from now on.
pub(super) fn take_place() -> Place {
    let known = place();
    if known != Place::UNKNOWN {
        return known;
    }
    // Where the destructor cannot be registered, the number could never come back.
    let number = match RETURNED.try_with(|_| ()) {
        Ok(()) => {
            let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            free.returned.pop().unwrap_or_else(|| {
                free.next += 1;
                free.next - 1
            })
        }
        Err(_) => SHARED,
    };
    let place = Place::of(number);
    PLACE.with(|here| here.set(place));
    place
}

struct ReturnedAtExit;

impl Drop for ReturnedAtExit {
    fn drop(&mut self) {
        give_back();
    }
}

/// The thread has no place of its own any more.
pub(crate) fn give_back() {
    let Ok(place) = PLACE.try_with(|place| place.replace(Place::SHARED)) else { return };
    if place != Place::SHARED && place != Place::UNKNOWN {
        FREE.lock().unwrap_or_else(PoisonError::into_inner).returned.push(place.number());
    }
}

#[cfg(all(test, supervised_loom))]
mod loom;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_a_place_of_its_own() {
        let places: Vec<_> = (0..7).map(Place::of).collect();
        let expected = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (2, 3)];
        assert_eq!(places, expected.map(|(at, within)| Place { at, within }));
        assert!((0..100_000).all(|number| Place::of(number).number() == number));
    }

    #[test]
    fn a_thread_gives_its_place_back_once_and_what_all_share_never() {
        std::thread::spawn(|| {
            let place = take_place();
            give_back();
            give_back();
            // What is not known yet has no number.
            PLACE.with(|here| here.set(Place::UNKNOWN));
            give_back();
            let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            let returned =
                |of: Place| free.returned.iter().filter(|at| **at == of.number()).count();
            assert!(returned(place) <= 1, "another thread may have taken it by now");
            assert_eq!(returned(Place::SHARED), 0);
        })
        .join()
        .expect("it ends well");
    }
}
