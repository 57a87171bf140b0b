//! One line: the function that the program is about.

use std::{io, sync::Arc};

use reqwest::{Client, StatusCode};
use tokio_supervised::{TaskError, supervised};

use crate::row::{Line, Row};

/// All that the lookups share: a client, which is a handle, and the server's address.
pub(crate) struct Tools {
    client: Client,
    server: String,
}

impl Tools {
    pub(crate) fn new(server: String) -> reqwest::Result<Self> {
        // A proxy of the environment cannot reach loopback.
        Ok(Self { client: Client::builder().no_proxy().build()?, server })
    }
}

/// Looks up the price of a line's item. An attempt has 2 s; errors that may pass are tried again.
#[supervised(
    limit = 64,
    timeout = "2s",
    restart = "on-failure",
    restart_if = PriceError::may_pass,
    backoff = "10ms..1s",
    max_restarts = "5/1m"
)]
pub(crate) async fn price(
    tools: Arc<Tools>,
    line: Result<Line, Arc<io::Error>>,
) -> Result<Row, PriceError> {
    let line = line.map_err(PriceError::Read)?;
    let number = line.number;
    let (item, count) = line.parse().ok_or(PriceError::Form { number })?;
    let request = tools.client.get(format!("{}/price/{item}", tools.server));
    let http = |error| PriceError::Http { number, error };
    let answer = request.send().await.map_err(http)?.error_for_status().map_err(http)?;
    let each: u64 =
        answer.text().await.map_err(http)?.parse().map_err(|_| PriceError::Form { number })?;
    Ok(line.priced(count * each))
}

/// Why a line was not priced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PriceError {
    /// Errors of the boundary: a panic, the cancellation, the timeout of the last attempt.
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error("cannot be read: {0}")]
    Read(#[source] Arc<io::Error>),
    #[error("line {number} is not of the form `item,count`, or its price is not a number")]
    Form { number: usize },
    #[error("line {number}: {error}")]
    Http { number: usize, error: reqwest::Error },
}

impl PriceError {
    /// A server that is busy, and a connection that broke. An item without a price will not get one.
    fn may_pass(&self) -> bool {
        match self {
            Self::Http { error, .. } => error.status().is_none_or(|status| {
                status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS
            }),
            Self::Task(_) | Self::Read(_) | Self::Form { .. } => false,
        }
    }
}
