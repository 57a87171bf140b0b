//! What a map reads: the iterator, and the closure that makes a run of an item.

use tokio_util::sync::CancellationToken;

use crate::panic::{self, Caught, drop_quietly};

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
    /// A run was made. Whether there may be more items.
    Made {
        more: bool,
    },
    Exhausted,
    Panicked {
        caught: Caught,
        of_the_iterator: bool,
    },
}

impl<I: Iterator, F> Source<I, F> {
    /// Makes the run of the next item, where it is put.
    pub(super) fn next<S>(&mut self, token: CancellationToken, put: impl FnOnce(S)) -> Next
    where
        F: FnMut(CancellationToken, I::Item) -> S,
    {
        let mut of_the_iterator = true;
        let next = panic::catch(|| {
            let item = self.items.next()?;
            let more = self.items.size_hint().1 != Some(0);
            of_the_iterator = false;
            put((self.f)(token, item));
            Some(more)
        });
        match next {
            Ok(Some(more)) => Next::Made { more },
            Ok(None) => Next::Exhausted,
            Err(caught) => Next::Panicked { caught, of_the_iterator },
        }
    }
}
