//! Starts and stops services while they run.

use std::{fmt, future::Future, panic::Location, sync::Arc};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{budget, registry::services::ServiceStatus, run::future::SupervisedFuture};
use crate::{
    services::error::{ServiceError, ServicesHandleError},
    services::run::{Command, Reply},
    services::start::start,
    services::state::{Phase, State},
};

/// How many commands may wait for `run`.
pub(crate) const MOST_COMMANDS: usize = 16;

/// Starts and stops services of a [`Services`](crate::Services) that runs, and shows their states.
///
/// Once [`run`](crate::Services::run) has ended or was dropped, its methods return an error. While a handle exists and
/// the token has not fired, `run` waits for it, even if no service is left.
#[derive(Clone)]
pub struct ServicesHandle {
    pub(crate) state: Arc<State>,
    pub(crate) commands: mpsc::Sender<Command>,
}

impl ServicesHandle {
    /// Starts one more service, as [`Services::service`](crate::Services::service) does, and waits until it is spawned.
    /// It is the last in the order: it stops first.
    ///
    /// A service that has ended gives its name free.
    ///
    /// ```
    /// use tokio_supervised::{CancellationToken, Services, TaskError, supervised};
    ///
    /// #[supervised]
    /// async fn tenant(token: &CancellationToken, id: u32) -> Result<(), TaskError> {
    ///     println!("serving tenant {id}");
    ///     token.cancelled().await;
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyhow::Result<()> {
    /// let token = CancellationToken::new();
    /// let services = Services::new(&token).service("first", |token| tenant(token, 1));
    /// let handle = services.handle();
    /// let operate = async {
    ///     handle.start("second", |token| tenant(token, 2)).await?;
    ///     handle.stop("first").await?;
    ///     token.cancel();
    ///     anyhow::Ok(())
    /// };
    /// let (ran, operated) = tokio::join!(services.run(), operate);
    /// ran?;
    /// operated?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the name is used, if the services are being stopped, or if `run` has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropped while the command waits to be sent, nothing happens; dropped later, the service starts.
    #[track_caller]
    pub fn start<S, F>(
        &self,
        name: &'static str,
        service: F,
    ) -> impl Future<Output = Result<(), ServicesHandleError>> + Send + use<S, F>
    where
        F: FnOnce(CancellationToken) -> S + Send + 'static,
        S: SupervisedFuture<Value = ()> + Send + 'static,
        S::Error: ServiceError,
    {
        let (this, place) = (self.clone(), Location::caller());
        let start = start(move |token, _| service(token));
        async move { this.command(|reply| Command::Start { name, place, start, reply }).await }
    }

    /// Stops a service, and waits until it has ended. It is the one end that stops no other service.
    ///
    /// Its token fires with [`Cause::Handle`](crate::Cause::Handle). It has the grace of its function, and at most the
    /// one that [`Services::grace`](crate::Services::grace) was given. One that has ended is no error.
    ///
    /// # Errors
    ///
    /// If no service has that name, if the services are being stopped, or if `run` has ended. If the service failed or
    /// did not stop: the first caller gets that error, which `run` does not return.
    ///
    /// # Cancel safety
    ///
    /// Dropped while the command waits to be sent, nothing happens; dropped later, the service is stopped.
    pub async fn stop(&self, name: &'static str) -> Result<(), ServicesHandleError> {
        self.command(|reply| Command::Stop { name, reply }).await
    }

    /// Returns the states of the services, in the order in which they start.
    #[must_use]
    pub fn status(&self) -> Vec<ServiceStatus> {
        self.state.status()
    }

    async fn command(
        &self,
        command: impl FnOnce(Reply) -> Command,
    ) -> Result<(), ServicesHandleError> {
        budget::spent().await;
        let (reply, answer) = oneshot::channel();
        if self.commands.send(command(reply)).await.is_err() {
            return Err(self.refusal());
        }
        answer.await.unwrap_or_else(|_| Err(self.refusal()))
    }

    fn refusal(&self) -> ServicesHandleError {
        match self.state.phase() {
            Phase::Stopping => ServicesHandleError::Stopping,
            Phase::Serving | Phase::Ended | Phase::Dropped => ServicesHandleError::Ended,
        }
    }
}

impl fmt::Debug for ServicesHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServicesHandle").field("services", &self.status()).finish_non_exhaustive()
    }
}
