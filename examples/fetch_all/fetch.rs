//! One page: the function that the program is about.

use std::{
    error::Error as _,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Client, Response, Url, header::CONTENT_TYPE};
use tokio_supervised::{Outcome, TaskError, supervised};

use crate::{progress::Progress, store::Store, title::title};

/// State shared by all fetches.
pub(crate) struct Tools {
    pub(crate) client: Client,
    pub(crate) store: Option<Store>,
    pub(crate) progress: Progress,
}

/// A page that was fetched, and stored if requested.
pub(crate) struct Page {
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
}

/// Fetches one page, reads its title, and stores it.
#[supervised(limit = 16, name = "fetch", timeout = "5s")]
pub(crate) async fn fetch(tools: Arc<Tools>, number: usize, url: Url) -> Result<Page, FetchError> {
    let _counted = tools.progress.count_at_the_end();
    let started = Instant::now();
    let response = tools.client.get(url.clone()).send().await?.error_for_status()?;
    let is_html = is_html(&response);
    let body = response.bytes().await?;
    if is_html {
        let html = String::from_utf8_lossy(&body);
        tools.progress.show(title(&html).unwrap_or_default());
    }
    let bytes = body.len() as u64;
    if let Some(store) = &tools.store {
        store.keep(number, &url, body).await.map_err(FetchError::Store)?;
    }
    Ok(Page { bytes, took: started.elapsed() })
}

fn is_html(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html"))
}

/// Why a page was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// Errors of `fetch`'s boundary: a panic, the cancellation, the timeout.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The request, or the status of its answer.
    #[error("{}", with_sources(.0))]
    Http(#[from] reqwest::Error),
    #[error("cannot be stored: {0}")]
    Store(#[source] io::Error),
}

impl FetchError {
    /// How the run ended.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Task(error) => error.outcome(),
            Self::Http(_) | Self::Store(_) => Outcome::Error,
        }
    }
}

/// The outermost message of the client says little: the reasons are its sources.
fn with_sources(error: &reqwest::Error) -> String {
    let sources = std::iter::successors(error.source(), |&error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
