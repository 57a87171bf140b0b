//! A thread-local of a task's own thread.

use ::std::{cell::Cell, marker::PhantomData, mem::needs_drop};

use shuttle_engine::thread_support::{AccessError, DestroyedLastKey, LocalKey as Dropped};

use crate::step::is_in_a_task;

/// As in `std`: a value without a destructor lives as long as its thread.
pub struct LocalKey<T: 'static> {
    fill: fn() -> T,
    dropped: Dropped<T>,
    plain: DestroyedLastKey<T>,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(fill: fn() -> T) -> Self {
        Self {
            fill,
            dropped: Dropped { init: fill, _p: PhantomData },
            plain: DestroyedLastKey::new(fill),
        }
    }

    /// Borrows the value, or a new one outside of a schedule: a panic hook may access it there.
    ///
    /// # Errors
    ///
    /// If it is already dropped.
    pub fn try_with<R>(&'static self, look: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        if !is_in_a_task() {
            return Ok(look(&(self.fill)()));
        }
        if needs_drop::<T>() { self.dropped.try_with(look) } else { self.plain.try_with(look) }
    }

    /// The same.
    ///
    /// # Panics
    ///
    /// If it is already dropped.
    pub fn with<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        self.try_with(look).expect("a thread-local lives until its thread ends")
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// A copy of the value.
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Sets the value.
    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    /// Takes the value out.
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Replaces the value and returns the previous one.
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}
