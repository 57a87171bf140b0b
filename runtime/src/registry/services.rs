//! The services of the process, as observers see them, and whether all of them are ready.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use crate::{
    ready,
    registry::sharded_list::{Registration, ShardedList},
    sync,
};

/// The services of one `Services` that runs.
pub(crate) trait HasServices: Send + Sync {
    /// Its number: a `Services` that was made earlier has a smaller one.
    fn number(&self) -> usize;
    /// Adds the services, in the order in which they start.
    fn services(&self, into: &mut Vec<ServiceStatus>);
    /// Whether all of them are ready, and none was asked to stop.
    fn all_ready(&self) -> bool;
}

sync::global! {
    static SERVICES: ShardedList<dyn HasServices> = ShardedList::new();
}

pub(crate) fn register(
    services: &Arc<impl HasServices + 'static>,
) -> Registration<dyn HasServices> {
    let services: Arc<dyn HasServices> = services.clone();
    let services: Weak<dyn HasServices> = Arc::downgrade(&services);
    SERVICES.register(services)
}

/// Returns the services of the process: of each [`Services`](crate::Services) that runs, in the order in which they
/// start.
///
/// Callable from any thread. The states are those of the moment.
///
/// ```
/// use tokio_supervised::{CancellationToken, ServiceState, Services, TaskError, services, supervised};
///
/// #[supervised]
/// async fn report() -> Result<(), TaskError> {
///     let all = services();
///     assert_eq!((&*all[0].name, all[0].state), ("report", ServiceState::Starting));
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyhow::Result<()> {
/// Services::new(&CancellationToken::new()).step("report", |token| report(token)).run().await?;
/// assert!(services().is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn services() -> Vec<ServiceStatus> {
    let mut all = SERVICES.all();
    all.sort_by_key(|each| each.number());
    let mut services = Vec::new();
    for each in all {
        each.services(&mut services);
    }
    services
}

/// Returns whether the process accepts new work: false from the first signal that stops `#[supervised::main]`, before
/// its token fires, and false while a service of a running [`Services`](crate::Services) is not ready. For a readiness
/// probe.
///
/// A `Services` is ready when all of its services have started and those with a [`Ready`](crate::Ready) have set it; it
/// is not while one of them waits for its restart, and no longer once one of them was asked to stop.
///
/// The process continues to serve for `linger` after a signal, since a load balancer takes a while to notice. Without
/// `#[supervised::main]` and `Services` it is always true. Callable from any thread. It costs one load, and 16 short
/// locks as long as no signal has come.
///
/// ```
/// assert!(tokio_supervised::is_ready());
/// ```
#[must_use]
pub fn is_ready() -> bool {
    ready::accepts_work() && SERVICES.all().iter().all(|each| each.all_ready())
}

/// A service, as it was when [`ServicesHandle::status`](crate::ServicesHandle::status) was called.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceStatus {
    /// Its name, with the names of the services around it: `api/cache`.
    pub name: Arc<str>,
    /// Its state.
    pub state: ServiceState,
    /// How often its function has restarted.
    pub restarts: u64,
    /// The text of its last failure, if there was one: at most 4 KiB of it.
    pub last_failure: Option<Box<str>>,
}

/// The state of a service. `Display` writes the text that each variant shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceState {
    /// `starting`: it has not started, has not set its [`Ready`](crate::Ready), or is a step that has not returned.
    Starting,
    /// `ready`: it runs.
    Ready,
    /// `restarting`: its run has ended, and it waits for the next one.
    Restarting,
    /// `stopping`: it was asked to stop, and has not ended.
    Stopping,
    /// `stopped`: it has ended.
    Stopped,
}

impl ServiceState {
    /// The text that `Display` writes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
