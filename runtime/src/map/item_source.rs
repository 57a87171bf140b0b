//! The source of a map: the iterator, and the closure that makes a run of an item.

use tokio_util::sync::CancellationToken;

use crate::{
    panic,
    panic::{Caught, drop_quietly},
    token::call_closure,
};

pub(crate) struct ItemSource<I, F> {
    pub(crate) items: I,
    pub(crate) f: F,
}

pub(crate) fn drop_source<I, F>(source: Option<Box<ItemSource<I, F>>>) {
    if let Some(source) = source {
        let ItemSource { items, f } = *source;
        drop_quietly(items);
        drop_quietly(f);
    }
}

pub(crate) enum NextItem {
    /// A run was made.
    Made,
    Exhausted,
    /// An item was read after the map stopped.
    Unwanted,
    Panicked {
        caught: Caught,
        in_iterator: bool,
    },
}

impl<I: Iterator, F> ItemSource<I, F> {
    /// Whether the iterator may have another item; one that panics is assumed to.
    pub(crate) fn may_have_more(&self) -> bool {
        panic::catch(|| self.items.size_hint().1 != Some(0)).unwrap_or(true)
    }

    /// Reads the next item, and creates its run if that is still wanted. Passes the run to `put`.
    #[inline]
    pub(crate) fn next<S>(
        &mut self,
        token: CancellationToken,
        is_wanted: impl FnOnce() -> bool,
        put: impl FnOnce(S),
    ) -> NextItem
    where
        F: FnMut(CancellationToken, I::Item) -> S,
    {
        let mut in_iterator = true;
        let next = call_closure(|| {
            let Some(item) = self.items.next() else { return NextItem::Exhausted };
            in_iterator = false;
            if !is_wanted() {
                return NextItem::Unwanted;
            }
            put((self.f)(token, item));
            NextItem::Made
        });
        next.unwrap_or_else(|caught| NextItem::Panicked { caught, in_iterator })
    }
}
