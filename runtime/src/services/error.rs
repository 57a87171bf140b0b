//! Why `run` failed, and the bound on the errors of services.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use crate::{
    error::{Cancelled, TaskError},
    panic,
    panic::drop_quietly,
    registry::unfinished::Unfinished,
};

/// Any error, as a service returns it.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// An error that a service may return: any type that converts into `Box<dyn Error + Send + Sync>`, such as an error type,
/// `anyhow::Error`, or a `String`.
///
/// Implemented for all of them, and for no other type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an error that a service can return",
    label = "`{Self}` does not convert into `Box<dyn Error + Send + Sync>`",
    note = "implement `std::error::Error` for it, or convert it into an error that has it: `|token| serve(token).err_into::<ServeError>()`"
)]
pub trait ServiceError: Into<BoxError> {}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> ServiceError for E {}

/// Why [`Services::run`](crate::Services::run) failed: the first failure of a service, or services that did not stop.
///
/// `Display` names the service. Its `source` is the error of the service, or an [`Unfinished`] if a service did not stop
/// in its time: `#[supervised::main]` then exits with 75. [`is_cancelled`](crate::is_cancelled) is true of it if a step
/// was cut short because the token fired.
///
/// `Debug` writes the message and those of all sources, since a `main` that returns a `Result` prints its error with it.
///
/// ```
/// use tokio_supervised::{CancellationToken, Services, supervised};
///
/// #[supervised]
/// async fn serve() -> anyhow::Result<()> {
///     anyhow::bail!("port 80 is in use")
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let token = CancellationToken::new();
/// let error = Services::new(&token).service("http", |token| serve(token)).run().await.unwrap_err();
/// assert_eq!(error.service(), "http");
/// assert_eq!(error.to_string(), "service `http` failed");
/// assert_eq!(format!("{error:?}"), "service `http` failed: port 80 is in use");
/// # }
/// ```
pub struct ServicesError(Box<Failure>);

struct Failure {
    service: Arc<str>,
    why: Why,
}

enum Why {
    Failed(BoxError),
    Returned,
    NotReady(Duration),
    NameUsed,
    /// A step was cut short, or did not start.
    Cut(BoxError),
    Unfinished {
        unfinished: Unfinished,
        /// How many other services did not stop.
        others: usize,
        first: Option<ServicesError>,
    },
}

impl ServicesError {
    fn new(service: Arc<str>, why: Why) -> Self {
        Self(Box::new(Failure { service, why }))
    }

    pub(crate) fn failed(service: Arc<str>, error: BoxError) -> Self {
        Self::new(service, Why::Failed(error))
    }

    pub(crate) fn returned(service: Arc<str>) -> Self {
        Self::new(service, Why::Returned)
    }

    pub(crate) fn not_ready(service: Arc<str>, timeout: Duration) -> Self {
        Self::new(service, Why::NotReady(timeout))
    }

    pub(crate) fn name_used(service: Arc<str>) -> Self {
        Self::new(service, Why::NameUsed)
    }

    pub(crate) fn cut(service: Arc<str>, error: BoxError) -> Self {
        Self::new(service, Why::Cut(error))
    }

    pub(crate) fn not_started(service: Arc<str>, cancelled: Cancelled) -> Self {
        Self::cut(service, TaskError::Cancelled(cancelled).into())
    }

    pub(crate) fn unfinished(
        service: Arc<str>,
        others: usize,
        unfinished: Unfinished,
        first: Option<Self>,
    ) -> Self {
        Self::new(service, Why::Unfinished { unfinished, others, first })
    }

    /// The name of the service, with the names of the services around it: `api/cache`. Of several that did not stop, the
    /// first.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.0.service
    }

    /// The first failure of a service, if this error is about services that did not stop.
    #[must_use]
    pub fn first_failure(&self) -> Option<&Self> {
        match &self.0.why {
            Why::Unfinished { first, .. } => first.as_ref(),
            _ => None,
        }
    }

    /// Writes the message, and those of the sources that it does not contain. The errors are the user's code.
    pub(crate) fn chain(&self) -> String {
        const DEEPEST: usize = 64;
        let mut text = self.to_string();
        let mut next = self.source();
        for _ in 0..DEEPEST {
            let Some(error) = next else { break };
            let link = panic::catch(|| error.to_string()).unwrap_or_else(|caught| {
                drop_quietly(caught);
                "(its `Display` panicked)".to_owned()
            });
            if !text.contains(&link) {
                text.push_str(": ");
                text.push_str(&link);
            }
            next = panic::catch(|| error.source()).map_err(drop_quietly).ok().flatten();
        }
        text
    }
}

impl fmt::Display for ServicesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { service, why } = &*self.0;
        match why {
            Why::Failed(_) => write!(f, "service `{service}` failed"),
            Why::Returned => {
                write!(f, "service `{service}` returned before it was asked to stop")
            }
            Why::NotReady(timeout) => {
                write!(f, "service `{service}` was not ready within {timeout:?}")
            }
            Why::NameUsed => write!(f, "two services have the name `{service}`"),
            Why::Cut(_) => write!(f, "step `{service}` did not finish"),
            Why::Unfinished { others, first, .. } => {
                write!(f, "service `{service}`")?;
                match others {
                    0 => {}
                    1 => f.write_str(" and another one")?,
                    others => write!(f, " and {others} others")?,
                }
                f.write_str(" did not stop in time")?;
                match first {
                    Some(first) => write!(f, "; {}", first.chain()),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The message with those of its sources, as text.
impl fmt::Debug for ServicesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())
    }
}

impl Error for ServicesError {
    /// Returns the error of the service, or the `Unfinished`.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.why {
            Why::Failed(error) | Why::Cut(error) => Some(&**error),
            Why::Unfinished { unfinished, .. } => Some(unfinished),
            Why::Returned | Why::NotReady(_) | Why::NameUsed => None,
        }
    }
}

/// Its kind is `Other`: `TimedOut` and `Interrupted` would make callers try again.
impl From<ServicesError> for io::Error {
    fn from(error: ServicesError) -> Self {
        Self::other(error)
    }
}

/// Why [`ServicesHandle::start`](crate::ServicesHandle::start) or [`stop`](crate::ServicesHandle::stop) failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServicesHandleError {
    /// A service has that name, and has not ended.
    NameUsed,
    /// No service has that name.
    Unknown,
    /// The services are being stopped.
    Stopping,
    /// [`Services::run`](crate::Services::run) has ended, or was dropped.
    Ended,
    /// The service failed while it stopped, or did not stop.
    Failed(ServicesError),
}

impl fmt::Display for ServicesHandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameUsed => f.write_str("a service with that name is running"),
            Self::Unknown => f.write_str("no service has that name"),
            Self::Stopping => f.write_str("the services are being stopped"),
            Self::Ended => f.write_str("the services have ended"),
            Self::Failed(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl Error for ServicesHandleError {
    /// Returns the error of the service.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            Self::NameUsed | Self::Unknown | Self::Stopping | Self::Ended => None,
        }
    }
}
