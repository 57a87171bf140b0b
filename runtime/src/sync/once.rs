//! `OnceLock` and `Once`, for the models: loom has neither.
//!
//! As `std` documents it: one caller initialises the value and the others wait; a caller that finds it initialised sees
//! all earlier writes. One flag says that it is initialised, stored with `Release` and loaded with `Acquire`, which is
//! what `std` promises. The value itself is in `std`'s type, under the lock.

use super::{Mutex, atomic::AtomicBool, atomic::Ordering};

pub(crate) struct OnceLock<T> {
    is_made: AtomicBool,
    making: Mutex<()>,
    made: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self {
            is_made: AtomicBool::new(false),
            making: Mutex::new(()),
            made: std::sync::OnceLock::new(),
        }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.is_made.load(Ordering::Acquire) { self.made.get() } else { None }
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(made) = self.get() {
            return made;
        }
        let making = self.making.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.made.get().is_none() {
            let value = make();
            _ = self.made.set(value);
            self.is_made.store(true, Ordering::Release);
        }
        drop(making);
        self.made.get().expect("made above, or by who had the lock before")
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("made at most once"));
        value.map_or(Ok(()), Err)
    }
}

pub(crate) struct Once(OnceLock<()>);

impl Once {
    pub(crate) fn new() -> Self {
        Self(OnceLock::new())
    }

    pub(crate) fn is_completed(&self) -> bool {
        self.0.get().is_some()
    }

    pub(crate) fn call_once(&self, call: impl FnOnce()) {
        self.0.get_or_init(call);
    }
}
