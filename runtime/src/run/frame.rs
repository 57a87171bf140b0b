//! Who runs now: the scope around the code that is being polled, which knows why it was cancelled.
//!
//! Invariants
//!
//! 1. While a scope's task is polled on a thread, [`CURRENT`] holds its scope; before and after, what
//!    was there. The handle moves in and out: entering counts no references.
//! 2. A cause is set once, before the token that it explains fires.

use std::{
    cell::Cell,
    sync::{Arc, OnceLock},
};

use crate::Cause;

/// A group, a `map`, a main: something that can be cancelled as a whole, for a reason.
pub(crate) struct Scope {
    cause: OnceLock<Cause>,
    parent: Option<Arc<Scope>>,
}

thread_local! {
    static CURRENT: Cell<Option<Arc<Scope>>> = const { Cell::new(None) };
}

/// The scope of `#[supervised::main]`: around everything, also where a bare spawn lost the way to it.
static MAIN: OnceLock<Arc<Scope>> = OnceLock::new();

impl Scope {
    /// A scope inside the one that runs now.
    pub(crate) fn nested() -> Arc<Self> {
        let parent = with_current(|scope| scope.cloned());
        Arc::new(Self { cause: OnceLock::new(), parent })
    }

    /// The scope of main; a second main in one process shares it.
    pub(crate) fn main() -> Arc<Self> {
        MAIN.get_or_init(|| Arc::new(Self { cause: OnceLock::new(), parent: None })).clone()
    }

    /// Says why, for who asks after the token has fired. The first reason stays.
    pub(crate) fn explain(&self, cause: Cause) {
        _ = self.cause.set(cause);
    }

    /// The cause of this scope, else of the nearest one around it, main last.
    pub(crate) fn cause(&self) -> Option<Cause> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(cause) = here.cause.get() {
                return Some(*cause);
            }
            scope = here.parent.as_deref();
        }
        MAIN.get()?.cause.get().copied()
    }
}

/// Runs `code` inside a scope.
pub(crate) fn within<R>(scope: &mut Option<Arc<Scope>>, code: impl FnOnce() -> R) -> R {
    struct Restore<'a> {
        outer: Option<Arc<Scope>>,
        inner: &'a mut Option<Arc<Scope>>,
    }
    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            let outer = self.outer.take();
            *self.inner = CURRENT.try_with(|current| current.replace(outer)).ok().flatten();
        }
    }
    let entering = scope.take();
    let outer = CURRENT.try_with(|current| current.replace(entering)).ok().flatten();
    let _restore = Restore { outer, inner: scope };
    code()
}

/// Why the code that runs now was cancelled, if its token has fired.
pub(crate) fn cause() -> Cause {
    with_current(|scope| match scope {
        Some(scope) => scope.cause(),
        None => MAIN.get()?.cause(),
    })
    .unwrap_or(Cause::Token)
}

fn with_current<R>(look: impl FnOnce(Option<&Arc<Scope>>) -> R) -> R {
    let current = CURRENT.try_with(Cell::take).ok().flatten();
    let found = look(current.as_ref());
    _ = CURRENT.try_with(|slot| slot.set(current));
    found
}
