//! A group, a `map`, a pool, a main: something that can be cancelled as a whole, for a reason.
//!
//! Invariants
//!
//! 1. A cause is set once, before the token that it explains fires. (for every interleaving: `scope/loom.rs`)
//! 2. A scope knows the runs that it was made in, which wait for it. They may have ended since: what they
//!    held is held only as long as their frame is there. So may the task: it is known by its row.

use std::sync::{Arc, PoisonError, Weak};

use tokio_util::sync::CancellationToken;

use super::{
    frame::{self, Entry, Frame},
    row::Row,
};
use crate::{
    Cause,
    spec::TaskSpec,
    sync::{self, Mutex, MutexGuard, OnceLock},
};

#[cfg(all(test, supervised_loom))]
mod loom;

pub(crate) struct Scope {
    cause: OnceLock<Cause>,
    /// What its tasks are told to stop by.
    token: Option<CancellationToken>,
    pub(super) parent: Option<Arc<Scope>>,
    /// The task that made it.
    made_by: Option<Arc<Row>>,
    /// The runs of the task that made this scope, the innermost last.
    pub(super) made_in: Box<[MadeIn]>,
    /// The outermost of them, where it is a task of the scope around: gone, it holds no slot there.
    pub(super) maker: Option<Weak<Frame>>,
}

/// A run that a scope was made in.
pub(super) struct MadeIn {
    pub(super) spec: &'static TaskSpec,
    /// There where it held a permit.
    pub(super) holder: Option<Weak<Frame>>,
}

sync::global! {
    /// The scopes of the mains that have not returned, the latest last. The latest is around everything, also where a
    /// bare spawn lost the way to it.
    static MAINS: Mutex<Vec<Arc<Scope>>> = Mutex::new(Vec::new());
}

/// The scope of a main that has not returned.
pub(crate) struct MainScope(Arc<Scope>);

impl MainScope {
    pub(crate) fn begin() -> Self {
        let scope = Arc::new(Scope::within(None, None));
        mains().push(scope.clone());
        Self(scope)
    }

    /// For the thread that explains it.
    pub(crate) fn scope(&self) -> Arc<Scope> {
        self.0.clone()
    }

    /// What the body of this main is a task of.
    pub(crate) fn of_body(&self, token: CancellationToken) -> Arc<Scope> {
        Arc::new(Scope::within(Some(self.scope()), Some(token)))
    }
}

impl Drop for MainScope {
    fn drop(&mut self) {
        mains().retain(|scope| !Arc::ptr_eq(scope, &self.0));
    }
}

fn mains() -> MutexGuard<'static, Vec<Arc<Scope>>> {
    MAINS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scope {
    /// A scope inside the runs of now, which wait for it.
    pub(crate) fn nested(token: CancellationToken) -> Arc<Self> {
        let parent = frame::current_scope();
        let made_by = frame::current_row(Arc::clone);
        let (made_in, maker) = frame::with_entries(|entries| {
            let entries = frame::of_this_task(entries);
            let outermost = entries.iter_mut().find_map(Entry::frame).filter(|_| parent.is_some());
            let maker = outermost.map(Arc::downgrade);
            (entries.iter_mut().filter_map(MadeIn::of).collect(), maker)
        });
        Arc::new(Self { made_by, made_in, maker, ..Self::within(parent, Some(token)) })
    }

    /// A scope inside none: main's cause alone is around it.
    pub(crate) fn root(token: CancellationToken) -> Arc<Self> {
        Arc::new(Self::within(None, Some(token)))
    }

    /// A part of a task that is cancelled for a reason of its own.
    pub(super) fn section() -> Arc<Self> {
        Arc::new(Self::within(frame::current_scope(), None))
    }

    fn within(parent: Option<Arc<Self>>, token: Option<CancellationToken>) -> Self {
        Self {
            cause: OnceLock::new(),
            token,
            parent,
            made_by: None,
            made_in: Box::default(),
            maker: None,
        }
    }

    pub(crate) fn made_by(&self) -> Option<&Arc<Row>> {
        self.made_by.as_ref()
    }

    /// Whether its tasks have been told to stop. Takes a lock.
    pub(crate) fn is_stopping(&self) -> bool {
        self.token.as_ref().is_some_and(CancellationToken::is_cancelled)
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
        Self::cause_of_main()
    }

    pub(super) fn cause_of_main() -> Option<Cause> {
        let main = mains().last().cloned()?;
        main.cause.get().copied()
    }
}

impl MadeIn {
    fn of(entry: &mut Entry) -> Option<Self> {
        let holder = entry.holder();
        match entry {
            Entry::Run { spec, .. } => Some(Self { spec, holder }),
            Entry::Task { .. } | Entry::Section { .. } => None,
        }
    }
}
