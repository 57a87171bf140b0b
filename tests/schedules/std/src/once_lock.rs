//! A cell that is initialised once.

use ::std::{fmt, sync::OnceLock as Value};

use shuttle::sync::Mutex;

use crate::step::step;

/// The initialising task holds a lock that the schedules know: others wait on it, and not in the operating system.
pub struct OnceLock<T> {
    filling: Mutex<()>,
    value: Value<T>,
}

impl<T> OnceLock<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { filling: Mutex::new(()), value: Value::new() }
    }

    /// The value, if there is one.
    pub fn get(&self) -> Option<&T> {
        step();
        self.value.get()
    }

    /// Sets the value.
    ///
    /// # Errors
    ///
    /// Returns `value` if the cell is already initialised.
    pub fn set(&self, value: T) -> Result<(), T> {
        let _filling = self.filling.lock();
        self.value.set(value)
    }

    /// The value, which this call initialises if necessary.
    pub fn get_or_init(&self, fill: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _filling = self.filling.lock();
        self.value.get_or_init(fill)
    }

    /// Takes the value out.
    pub fn take(&mut self) -> Option<T> {
        self.value.take()
    }

    /// Consumes the cell and returns its value.
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
