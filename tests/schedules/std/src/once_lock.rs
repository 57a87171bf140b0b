//! A cell that is filled once.

use ::std::{fmt, sync::OnceLock as Value};

use shuttle::sync::Mutex;

use crate::step::step;

/// Who fills it holds a lock that the schedules know: others wait there, and not in the operating system.
pub struct OnceLock<T> {
    filling: Mutex<()>,
    value: Value<T>,
}

impl<T> OnceLock<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { filling: Mutex::new(()), value: Value::new() }
    }

    /// What it was filled with.
    pub fn get(&self) -> Option<&T> {
        step();
        self.value.get()
    }

    /// Fills it.
    ///
    /// # Errors
    ///
    /// Where it was filled before: the value.
    pub fn set(&self, value: T) -> Result<(), T> {
        let _filling = self.filling.lock();
        self.value.set(value)
    }

    /// What it was filled with, at the latest by this call.
    pub fn get_or_init(&self, fill: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _filling = self.filling.lock();
        self.value.get_or_init(fill)
    }

    /// The value, taken out.
    pub fn take(&mut self) -> Option<T> {
        self.value.take()
    }

    /// The value, as what is left.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
