//! A point at which another task may run.

use ::std::{cell::Cell, thread::panicking};

use shuttle_engine::runtime::{execution::ExecutionState, thread::switch};

::std::thread_local! {
    /// The tasks of a schedule share a thread of the operating system: during an observation, no other task runs.
    static LOOKS: Cell<bool> = const { Cell::new(false) };
}

/// Lets another task run if a schedule runs. Not while a panic unwinds: the operating system's thread, which tasks
/// share, counts panics.
#[track_caller]
pub fn step() {
    if !LOOKS.get() && !panicking() && is_in_a_task() && !ExecutionState::should_stop() {
        switch();
    }
}

/// Whether this code belongs to a schedule, and not to its driver or to the report of its failure.
pub fn is_in_a_task() -> bool {
    ExecutionState::try_with(|state| state.try_current().is_some()).unwrap_or(false)
}

/// Runs observations of the tests outside of the schedule: their atomics and cells are no steps. A lock still is.
pub fn looking<R>(look: impl FnOnce() -> R) -> R {
    let before = LOOKS.replace(true);
    let seen = look();
    LOOKS.set(before);
    seen
}
