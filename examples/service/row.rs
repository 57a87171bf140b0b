//! The order in which components stop: each has a place in a row, and its own group.
//!
//! 1. The token of a place fires when every earlier place has been dropped. The first place's token fires when main's
//!    token does, or when any component has ended.
//! 2. A place is dropped with its component, however that ends: it has returned, failed, panicked, was dropped.
//! 3. A component starts before the ones that stop before it: its token cannot have fired by then, since the earlier
//!    places still exist. (A token that has fired never starts a body, and a consumer that never starts leaves its
//!    queue as it is.)
//! 4. No two components share a group: a group cancels all of its tasks at once.

use std::{array, sync::Arc};

use tokio::sync::oneshot;
use tokio_supervised::{CancellationToken, Group, SupervisedFuture, is_cancelled};

/// The state of a running component. Owned by one task; places share only the tokens.
pub(crate) struct Place {
    name: &'static str,
    stop: CancellationToken,
    begun: Option<oneshot::Sender<()>>,
    /// The token of the first place.
    first: CancellationToken,
    /// The tokens of the components that stop later. Dropped after [`Drop::drop`] has logged the end.
    _behind: Vec<Arc<FiresWhenDropped>>,
}

struct FiresWhenDropped(CancellationToken);

impl Drop for FiresWhenDropped {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Creates places. The first one stops first, when `token` fires.
pub(crate) fn in_a_row<const N: usize>(
    token: &CancellationToken,
    names: [&'static str; N],
) -> [Place; N] {
    let first = token.child_token();
    let tokens: [_; N] = array::from_fn(|_| CancellationToken::new());
    let guards = tokens.each_ref().map(|token| Arc::new(FiresWhenDropped(token.clone())));
    array::from_fn(|at| Place {
        name: names[at],
        stop: if at == 0 { first.clone() } else { tokens[at].clone() },
        begun: None,
        first: first.clone(),
        _behind: guards[at + 1..].to_vec(),
    })
}

impl Place {
    /// The component runs: components that stop before it may start.
    pub(crate) fn begun(&mut self) {
        if let Some(begun) = self.begun.take() {
            // If no one waits for it any more, the error does not matter.
            _ = begun.send(());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        tracing::info!("the {} has stopped", self.name);
        self.first.cancel();
    }
}

/// Spawns a component with the token of its place, and waits until it has started, or never will.
pub(crate) async fn start<S>(
    mut place: Place,
    component: impl FnOnce(CancellationToken, Place) -> S,
) -> Group<(), anyhow::Error>
where
    S: SupervisedFuture<Value = (), Error = anyhow::Error> + Send + 'static,
{
    let group = Group::new(&place.stop);
    let (begun, has_begun) = oneshot::channel();
    place.begun = Some(begun);
    group.spawn(|token| component(token, place)).await;
    // An error means that the place has been dropped: the join returns the reason.
    _ = has_begun.await;
    group
}

/// Waits until all components have ended. A failure takes precedence over a cancelled component.
pub(crate) async fn join<const N: usize>(
    groups: [Group<(), anyhow::Error>; N],
) -> anyhow::Result<()> {
    let (mut failed, mut cut_off) = (None, None);
    for group in groups {
        if let Err(error) = group.join().await {
            let first = if is_cancelled(error.as_ref()) { &mut cut_off } else { &mut failed };
            first.get_or_insert(error);
        }
    }
    failed.or(cut_off).map_or(Ok(()), Err)
}
