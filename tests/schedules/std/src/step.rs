//! Where another task may go first.

use ::std::{cell::Cell, thread::panicking};

use shuttle_engine::runtime::{execution::ExecutionState, thread::switch};

::std::thread_local! {
    /// The tasks of a schedule share a thread of the operating system: while one looks, none goes first.
    static LOOKS: Cell<bool> = const { Cell::new(false) };
}

/// Another task may go first, where a schedule runs. Not while a panic unwinds: the operating system's thread, which
/// tasks share, counts panics.
#[track_caller]
pub fn step() {
    if !LOOKS.get() && !panicking() && is_in_a_task() && !ExecutionState::should_stop() {
        switch();
    }
}

/// Whether this is code of a schedule, and not what drives it or tells of its failure.
pub fn is_in_a_task() -> bool {
    ExecutionState::try_with(|state| state.try_current().is_some()).unwrap_or(false)
}

/// What the tests ask for is no part of the schedule: no atomic and no cell in there is a step. A lock still is.
pub fn looking<R>(look: impl FnOnce() -> R) -> R {
    let before = LOOKS.replace(true);
    let seen = look();
    LOOKS.set(before);
    seen
}
