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

pub(super) fn drop_source<I, F>(source: Option<Source<I, F>>) {
    if let Some(Source { items, f }) = source {
        drop_quietly(items);
        drop_quietly(f);
    }
}

pub(super) enum Next {
    /// A run was made.
    Made,
    Exhausted,
    Panicked {
        caught: Caught,
        of_the_iterator: bool,
    },
}

impl<I: Iterator, F> Source<I, F> {
    /// Whether the iterator does not say that it is at its end; one that panics will say so when it is read.
    pub(super) fn may_have_more(&self) -> bool {
        panic::catch(|| self.items.size_hint().1 != Some(0)).unwrap_or(true)
    }

    /// Makes the run of the next item, where it is put.
    pub(super) fn next<S>(&mut self, token: CancellationToken, put: impl FnOnce(S)) -> Next
    where
        F: FnMut(CancellationToken, I::Item) -> S,
    {
        let mut of_the_iterator = true;
        let next = own::making(|| {
            let item = self.items.next()?;
            of_the_iterator = false;
            put((self.f)(token, item));
            Some(())
        });
        match next {
            Ok(Some(())) => Next::Made,
            Ok(None) => Next::Exhausted,
            Err(caught) => Next::Panicked { caught, of_the_iterator },
        }
    }
}
