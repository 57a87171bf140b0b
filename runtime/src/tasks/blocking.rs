//! Runs a blocking closure as a supervised future.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    sync::{LazyLock, Mutex, PoisonError},
    task::{Context, Poll},
};

use crate::{
    error::TaskError,
    function::{Policy, TaskSpec},
    run::future::{Supervised, supervise},
    run::output::{SupervisedOutput, output},
    token::own_token,
};
use tokio_util::sync::CancellationToken;

/// The body of a task of `spawn_blocking`: a closure that the poll calls.
///
/// # Cancel safety
///
/// If it is dropped before its first poll, the closure is not called. A call that has started is not interrupted.
pub struct Blocking<F> {
    work: Option<(F, CancellationToken)>,
}

impl<F> Unpin for Blocking<F> {}

impl<F, R> Future for Blocking<F>
where
    F: FnOnce(CancellationToken) -> R,
{
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<R> {
        let (work, token) = self.work.take().expect("a body is polled until it has ended");
        Poll::Ready(work(own_token(token)))
    }
}

impl<F> fmt::Debug for Blocking<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").finish_non_exhaustive()
    }
}

/// Nothing can interrupt the closure. It gets the token, and returns by itself.
const POLICY: Policy = Policy::DEFAULT.cooperate().take_token().grace(None);

pub(crate) fn blocking<T, E, F>(
    name: &'static str,
    place: &'static Location<'static>,
    token: CancellationToken,
    work: F,
) -> Supervised<Blocking<F>>
where
    F: FnOnce(CancellationToken) -> Result<T, E>,
    E: From<TaskError>,
{
    let body = Blocking { work: Some((work, token.clone())) };
    supervise(spec(name, place), token, output(Result::<T, E>::by_shape), body)
}

type Specs = HashMap<(&'static str, &'static Location<'static>), &'static TaskSpec>;

/// Returns the description of a closure. It is created at the first spawn and leaked: one for each name and source
/// location.
fn spec(name: &'static str, place: &'static Location<'static>) -> &'static TaskSpec {
    static SPECS: LazyLock<Mutex<Specs>> = LazyLock::new(Mutex::default);
    let mut specs = SPECS.lock().unwrap_or_else(PoisonError::into_inner);
    specs
        .entry((name, place))
        .or_insert_with(|| Box::leak(Box::new(TaskSpec::blocking(name, place, POLICY))))
}
