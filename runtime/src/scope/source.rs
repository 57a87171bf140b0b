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

pub(super) enum Next<S> {
    /// A run, and whether there may be more items.
    Run(S, bool),
    Exhausted,
    Panicked {
        caught: Caught,
        of_the_iterator: bool,
    },
}

impl<I: Iterator, F> Source<I, F> {
    pub(super) fn next<S>(&mut self, token: CancellationToken) -> Next<S>
    where
        F: FnMut(CancellationToken, I::Item) -> S,
    {
        let mut of_the_iterator = true;
        let next = panic::catch(|| {
            let item = self.items.next()?;
            let more = self.items.size_hint().1 != Some(0);
            of_the_iterator = false;
            Some(((self.f)(token, item), more))
        });
        match next {
            Ok(Some((run, more))) => Next::Run(run, more),
            Ok(None) => Next::Exhausted,
            Err(caught) => Next::Panicked { caught, of_the_iterator },
        }
    }
}
