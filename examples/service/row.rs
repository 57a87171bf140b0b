//! The order in which components stop: each has a place in a row, and a token of its own.
//!
//! 1. The token of a place fires when every place before it is gone. The first has none before it: it stops
//!    when the group does.
//! 2. A place is gone with its component, however that ends: it has returned, failed, panicked, was dropped.
//! 3. A component begins before the ones that stop before it: its token cannot have fired by then, since the
//!    places before it are still there. (A token that has fired never starts a body, and a consumer that never
//!    starts leaves its queue as it is.)

use std::{array, sync::Arc};

use tokio::sync::oneshot;
use tokio_supervised::{CancellationToken, Group, SupervisedFuture};

/// What a component holds while it is there. Owned by one task; the tokens are all that places share.
pub(crate) struct Place {
    name: &'static str,
    stop: Option<CancellationToken>,
    begun: Option<oneshot::Sender<()>>,
    /// The tokens of those that stop later. Dropped after [`Drop::drop`] has told of the end.
    _behind: Vec<Arc<FiresWhenDropped>>,
}

struct FiresWhenDropped(CancellationToken);

impl Drop for FiresWhenDropped {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Places, the one that stops first at the beginning.
pub(crate) fn in_a_row<const N: usize>(names: [&'static str; N]) -> [Place; N] {
    let tokens: [_; N] = array::from_fn(|_| CancellationToken::new());
    let guards = tokens.each_ref().map(|token| Arc::new(FiresWhenDropped(token.clone())));
    array::from_fn(|at| Place {
        name: names[at],
        stop: (at > 0).then(|| tokens[at].clone()),
        begun: None,
        _behind: guards[at + 1..].to_vec(),
    })
}

impl Place {
    /// The component is there: what stops before it may begin.
    pub(crate) fn begun(&mut self) {
        if let Some(begun) = self.begun.take() {
            // Where nobody waits for it any more, that is as well.
            _ = begun.send(());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        tracing::info!("the {} has stopped", self.name);
    }
}

/// Spawns a component with the token of its place, and waits until it has begun, or will never.
pub(crate) async fn start<S>(
    group: &Group<(), anyhow::Error>,
    mut place: Place,
    component: impl FnOnce(CancellationToken, Place) -> S,
) where
    S: SupervisedFuture<Value = (), Error = anyhow::Error> + Send + 'static,
{
    let (begun, has_begun) = oneshot::channel();
    place.begun = Some(begun);
    let spawn = group.spawn(|token| component(place.stop.take().unwrap_or(token), place));
    spawn.await;
    // An error says that the place is gone: the join tells why.
    _ = has_begun.await;
}
