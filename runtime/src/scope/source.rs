//! What a map reads: the iterator, and the closure that makes a run of an item.

use tokio_util::sync::CancellationToken;

use crate::{
    panic::{self, Caught, drop_quietly},
    run::own,
};

pub(super) struct Source<I, F> {
    pub(super) items: I,
    pub(super) f: F,
}

pub(super) fn drop_source<I, F>(source: Option<Box<Source<I, F>>>) {
    if let Some(source) = source {
        let Source { items, f } = *source;
        drop_quietly(items);
        drop_quietly(f);
    }
}

pub(super) enum Next {
    /// A run was made.
    Made,
    Exhausted,
    /// An item was read that no one wants any more.
    Unwanted,
    Panicked {
        caught: Caught,
        of_the_iterator: bool,
    },
}

impl<I: Iterator, F> Source<I, F> {
    /// Whether the iterator may have another item; one that panics is assumed to.
    pub(super) fn may_have_more(&self) -> bool {
        panic::catch(|| self.items.size_hint().1 != Some(0)).unwrap_or(true)
    }

    /// Reads the next item and makes its run, if it is still wanted then. The run goes to `put`.
    #[inline]
    pub(super) fn next<S>(
        &mut self,
        token: CancellationToken,
        is_wanted: impl FnOnce() -> bool,
        put: impl FnOnce(S),
    ) -> Next
    where
        F: FnMut(CancellationToken, I::Item) -> S,
    {
        let mut of_the_iterator = true;
        let next = own::call_closure(|| {
            let Some(item) = self.items.next() else { return Next::Exhausted };
            of_the_iterator = false;
            if !is_wanted() {
                return Next::Unwanted;
            }
            put((self.f)(token, item));
            Next::Made
        });
        next.unwrap_or_else(|caught| Next::Panicked { caught, of_the_iterator })
    }
}
