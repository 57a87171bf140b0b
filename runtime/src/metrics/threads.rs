//! A small number for each living thread, used again when the thread has ended.
//!
//! Invariants
//!
//! 1. Two living threads never share a number other than [`SHARED`].
//! 2. The next owner of a number sees all that the last one wrote: the list of free ones is under a lock.

use std::{
    cell::Cell,
    sync::{Mutex, PoisonError},
};

/// The number of a thread that has none: it is ending, or its thread-locals are gone.
pub(super) const SHARED: usize = 0;

const UNKNOWN: usize = usize::MAX;

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(UNKNOWN) };
    static RETURNED: ReturnedAtExit = const { ReturnedAtExit };
}

struct Free {
    next: usize,
    returned: Vec<usize>,
}

static FREE: Mutex<Free> = Mutex::new(Free { next: SHARED + 1, returned: Vec::new() });

/// This thread's number.
#[inline]
pub(super) fn number() -> usize {
    match NUMBER.get() {
        UNKNOWN => take_number(),
        number => number,
    }
}

#[cold]
fn take_number() -> usize {
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
    NUMBER.set(number);
    number
}

struct ReturnedAtExit;

impl Drop for ReturnedAtExit {
    fn drop(&mut self) {
        let number = NUMBER.replace(SHARED);
        if number != SHARED && number != UNKNOWN {
            FREE.lock().unwrap_or_else(PoisonError::into_inner).returned.push(number);
        }
    }
}
