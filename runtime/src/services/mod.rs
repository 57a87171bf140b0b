//! A program of several components.

pub(crate) mod error;
pub(crate) mod handle;
pub(crate) mod ready;
pub(crate) mod run;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod task;

use std::{collections::VecDeque, fmt, panic::Location, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{budget, run::future::SupervisedFuture};
use crate::{
    services::error::{ServiceError, ServicesError},
    services::handle::{MOST_COMMANDS, ServicesHandle},
    services::ready::Ready,
    services::run::{Command, Pending, Plan, Running},
    services::start::{Start, start},
    services::state::{Kind, State},
};

/// How long a service may take until it is ready.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The components of a program: they start one after the other, and stop in reverse.
///
/// ```
/// use tokio_supervised::{CancellationToken, Ready, Services, supervised};
/// # type Db = ();
///
/// /// Returns when it is done.
/// #[supervised]
/// async fn migrate(db: Db) -> anyhow::Result<()> {
///     Ok(())
/// }
///
/// /// Runs until its token fires.
/// #[supervised(restart = "on-failure", grace = "10s")]
/// async fn consume(token: &CancellationToken, db: Db) -> anyhow::Result<()> {
///     token.cancelled().await;
///     Ok(())
/// }
///
/// #[supervised(grace = "5s")]
/// async fn serve(token: &CancellationToken, ready: Ready, db: Db) -> anyhow::Result<()> {
///     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
///     ready.set();
///     // … serve `listener` until the token fires …
/// #   let _ = listener;
///     token.cancelled().await;
///     Ok(())
/// }
///
/// #[supervised::main]
/// async fn main(token: CancellationToken) -> anyhow::Result<()> {
///     let db = Db::default();
/// #   let stop = token.clone();
///     Services::new(&token)
///         .step("migrations", |token| migrate(token, db.clone()))
///         .service("consumer", |token| consume(token, db.clone()))
///         .service_with_ready("http", |token, ready| serve(token, ready, db.clone()))
/// #       .background("end of the example", |token| {
/// #           tokio_supervised::task!("stop", |_| async move { stop.cancel(); anyhow::Ok(()) })(token)
/// #       })
///         .run()
///         .await?;
///     Ok(())
/// }
/// ```
///
/// # Start
///
/// The services start in the order in which they were added. A [`step`](Self::step) has to return `Ok` before the next
/// one starts, and a [`service_with_ready`](Self::service_with_ready) to say that it is ready. If the start of one
/// fails, those that have started are stopped.
///
/// # Stop
///
/// They stop when the token fires, when a service fails, or when one returns without having been asked to. The last one
/// stops first: each has its own token, which fires when all after it have ended. It then has the grace of its
/// function, and at most what is left of the total less 1 s for each service that stops after it. The total is
/// [`grace`](Self::grace); after a signal it is at most what main has left of its grace. A service that has not stopped
/// by then is aborted, and the next one stops.
///
/// | end of a service | what follows |
/// |---|---|
/// | it fails: an error, a panic, a timeout | the others stop, and `run` returns the failure |
/// | it returns `Ok`, or stops at an `.await`, after it was asked to stop | nothing: this is orderly |
/// | it returns `Ok` before it was asked to stop | the others stop, and `run` returns an error |
/// | a step or a background service returns `Ok` | nothing |
/// | a handle has stopped it | nothing |
///
/// A service that is to survive its failures has `restart` on its function. Services that have to restart together are
/// a `Services` of their own, inside a function with `restart`.
///
/// # Names
///
/// A name is what a failure, a log event and an operator see, and it becomes a label of the metric
/// `supervised_service_up`: use few. The names of a `Services` inside a service start with that service's name:
/// `api/cache`.
///
/// # Comparison to `Group`
///
/// The tasks of a [`Group`](crate::Group) are equal, and stop at once; their results are joined. Services differ in
/// their errors and names, have an order, and return nothing.
///
/// Follows OTP's supervisors (order of the start, reverse order of the stop, a time for each child) and Swift's
/// `ServiceGroup`.
#[must_use = "services do nothing until they are `run`"]
pub struct Services<'a> {
    state: Arc<State>,
    token: CancellationToken,
    pending: VecDeque<Pending<'a>>,
    /// The first name that was used twice.
    name_used: Option<&'static str>,
    commands: (mpsc::Sender<Command>, mpsc::Receiver<Command>),
    start_timeout: Duration,
    grace: Option<Duration>,
    ready: Option<Ready>,
}

impl<'a> Services<'a> {
    /// Services that stop when `token` fires.
    #[track_caller]
    pub fn new(token: &CancellationToken) -> Self {
        Self {
            state: State::new(Location::caller()),
            token: token.clone(),
            pending: VecDeque::new(),
            name_used: None,
            commands: mpsc::channel(MOST_COMMANDS),
            start_timeout: START_TIMEOUT,
            grace: None,
            ready: None,
        }
    }

    /// Adds a step: the next service starts when it has returned `Ok`. Its end stops nothing.
    ///
    /// Bound it by the `timeout` of its function. If the token fires before it has returned, `run` returns a
    /// cancellation: what the step does is not done.
    ///
    /// ```
    /// # use tokio_supervised::{CancellationToken, Services, supervised};
    /// #[supervised(timeout = "5m")]
    /// async fn migrate() -> anyhow::Result<()> {
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyhow::Result<()> {
    /// # let token = CancellationToken::new();
    /// Services::new(&token).step("migrations", |token| migrate(token)).run().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn step<S, F>(self, name: &'static str, step: F) -> Self
    where
        F: FnOnce(CancellationToken) -> S + Send + 'a,
        S: SupervisedFuture<Value = ()> + Send + 'static,
        S::Error: ServiceError,
    {
        self.add(name, Kind::Step, start(move |token, _| step(token)))
    }

    /// Adds a service that may return `Ok` at any time, such as one that warms a cache. Its failure stops the rest.
    ///
    /// ```
    /// # use tokio_supervised::{CancellationToken, Services, supervised};
    /// #[supervised(restart = "on-failure")]
    /// async fn warm_cache() -> anyhow::Result<()> {
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyhow::Result<()> {
    /// # let token = CancellationToken::new();
    /// Services::new(&token).background("cache", |token| warm_cache(token)).run().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn background<S, F>(self, name: &'static str, service: F) -> Self
    where
        F: FnOnce(CancellationToken) -> S + Send + 'a,
        S: SupervisedFuture<Value = ()> + Send + 'static,
        S::Error: ServiceError,
    {
        self.add(name, Kind::Background, start(move |token, _| service(token)))
    }

    /// Adds a service, which runs until its token fires. The next one starts at once.
    ///
    /// The closure is called when it is the service's turn, with the token of the service. It may borrow; the future
    /// that it makes is `'static`.
    ///
    /// ```
    /// # use tokio_supervised::{CancellationToken, Services, TaskError, supervised};
    /// #[supervised]
    /// async fn consume(token: &CancellationToken) -> Result<(), TaskError> {
    ///     token.cancelled().await;
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyhow::Result<()> {
    /// # let token = CancellationToken::new();
    /// # token.cancel();
    /// Services::new(&token).service("consumer", |token| consume(token)).run().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn service<S, F>(self, name: &'static str, service: F) -> Self
    where
        F: FnOnce(CancellationToken) -> S + Send + 'a,
        S: SupervisedFuture<Value = ()> + Send + 'static,
        S::Error: ServiceError,
    {
        self.add(name, Kind::Service, start(move |token, _| service(token)))
    }

    /// As [`service`](Self::service), for one that says when it is ready: the next one starts after
    /// [`Ready::set`].
    ///
    /// If it is not ready within the [`start_timeout`](Self::start_timeout), the start fails. A function that restarts
    /// is not ready again until its next run has said so.
    ///
    /// ```
    /// # use tokio_supervised::{CancellationToken, Ready, Services, supervised};
    /// #[supervised]
    /// async fn serve(token: &CancellationToken, ready: Ready) -> anyhow::Result<()> {
    ///     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    ///     ready.set();
    /// #   token.cancelled().await;
    /// #   drop(listener);
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyhow::Result<()> {
    /// # let token = CancellationToken::new();
    /// # token.cancel();
    /// Services::new(&token).service_with_ready("http", |token, ready| serve(token, ready)).run().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn service_with_ready<S, F>(self, name: &'static str, service: F) -> Self
    where
        F: FnOnce(CancellationToken, Ready) -> S + Send + 'a,
        S: SupervisedFuture<Value = ()> + Send + 'static,
        S::Error: ServiceError,
    {
        self.add(name, Kind::WithReady, start(service))
    }

    #[track_caller]
    fn add(mut self, name: &'static str, kind: Kind, start: Start<'a>) -> Self {
        let place = Location::caller();
        match self.state.add(name, kind) {
            Some(id) => self.pending.push_back(Pending { id, place, start, reply: None }),
            None => _ = self.name_used.get_or_insert(name),
        }
        self
    }

    /// Sets a `Ready` of the service that runs these: it is set when all of them are ready for the first time.
    pub fn ready(mut self, ready: Ready) -> Self {
        self.ready = Some(ready);
        self
    }

    /// Sets how long a service with a [`Ready`] may take to set it: 30 s without this.
    ///
    /// Steps have the `timeout` of their functions instead.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }

    /// Sets how long all services together may take to stop. Without it there is no bound but the grace of each
    /// function, and of main after a signal.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Returns a handle that starts and stops services while they run.
    pub fn handle(&self) -> ServicesHandle {
        ServicesHandle { state: self.state.clone(), commands: self.commands.0.clone() }
    }

    /// Runs the services until they have stopped: see [`Services`].
    ///
    /// It returns `Ok` when the token has fired and all services have stopped, or when every service was a step or a
    /// background service, all have returned `Ok`, and no handle is left. `Ok` means that every step has returned `Ok`,
    /// and that no service had to be aborted.
    ///
    /// # Errors
    ///
    /// The first failure; those that follow are logged at `WARN`. If services did not stop in their time, the error
    /// carries an [`Unfinished`](crate::Unfinished), and names the first failure too. If the token cut a step
    /// or kept one from starting, the error is a cancellation: see [`is_cancelled`](crate::is_cancelled). If two services have the
    /// same name, nothing starts.
    ///
    /// # Panics
    ///
    /// When it is awaited outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it cancels and aborts all services, warns unless the token had fired, and logs a failure that it would
    /// have returned.
    pub async fn run(self) -> Result<(), ServicesError> {
        let Self { state, token, pending, name_used, commands, start_timeout, grace, ready } = self;
        budget::spent().await;
        if let Some(name) = name_used {
            return Err(ServicesError::name_used(state.path(name)));
        }
        // Without its own sender, it sees when no handle is left.
        let (sender, received) = commands;
        drop(sender);
        let commands = Some(received);
        let plan = Plan { state, token, pending, commands, start_timeout, grace, ready };
        Running::new(plan).run().await
    }
}

impl fmt::Debug for Services<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("services", &self.state.status()).finish_non_exhaustive()
    }
}
