//! The pages of the demo: their order and their expected ends.

use std::{convert::Infallible, future, io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::StatusCode,
    response::Html,
    routing::{any, get},
};
use futures::stream;
use reqwest::Url;

use crate::report::Counts;

#[derive(Clone, Copy)]
enum Kind {
    Fast,
    Slow,
    Missing,
    Failing,
    /// The connection ends before the page does.
    Cut,
    /// A page that makes the program's own parser panic.
    BadTitle,
    /// Never answers.
    Stuck,
    /// The same, at the end: the demo does not wait for the timeout.
    GivenUp,
}

const PLAN: [(Kind, usize); 9] = [
    (Kind::Stuck, 2),
    (Kind::Fast, 16),
    (Kind::Slow, 8),
    (Kind::Missing, 2),
    (Kind::Failing, 1),
    (Kind::Cut, 1),
    (Kind::BadTitle, 1),
    (Kind::Fast, 27),
    (Kind::GivenUp, 2),
];

/// How the pages should end.
pub(super) fn planned() -> Counts {
    let mut counts = Counts::default();
    for (kind, pages) in PLAN {
        let column = match kind {
            Kind::Fast | Kind::Slow => &mut counts.ok,
            Kind::Missing | Kind::Failing | Kind::Cut => &mut counts.failed,
            Kind::BadTitle => &mut counts.panicked,
            Kind::Stuck => &mut counts.timed_out,
            Kind::GivenUp => &mut counts.cancelled,
        };
        *column += pages;
    }
    counts
}

pub(super) fn urls(server: SocketAddr) -> anyhow::Result<Vec<Url>> {
    let kinds = PLAN.into_iter().flat_map(|(kind, pages)| std::iter::repeat_n(kind, pages));
    let url = |(n, kind)| Ok(Url::parse(&format!("http://{server}/{}/{n}", path(kind)))?);
    kinds.enumerate().map(url).collect()
}

fn path(kind: Kind) -> &'static str {
    match kind {
        Kind::Fast => "fast",
        Kind::Slow => "slow",
        Kind::Missing => "missing",
        Kind::Failing => "failing",
        Kind::Cut => "cut",
        Kind::BadTitle => "bad-title",
        Kind::Stuck | Kind::GivenUp => "stuck",
    }
}

pub(super) fn router() -> Router {
    Router::new()
        .route("/fast/{n}", get(page))
        .route("/slow/{n}", get(slow))
        .route("/failing/{n}", any(StatusCode::INTERNAL_SERVER_ERROR))
        .route("/cut/{n}", get(cut))
        .route("/bad-title/{n}", get(|| async { Html("</title>The end comes first<title>") }))
        .route("/stuck/{n}", get(future::pending::<Infallible>))
}

async fn page(Path(n): Path<usize>) -> Html<String> {
    let text = "A line of text.\n".repeat(n * 8);
    Html(format!("<title>Page {n}</title>\n<pre>\n{text}</pre>\n"))
}

async fn slow(Path(n): Path<usize>) -> Html<String> {
    tokio::time::sleep(Duration::from_millis(200 + 50 * (n as u64 % 8))).await;
    page(Path(n)).await
}

async fn cut() -> Body {
    let begin = Ok("<title>The page that breaks off</title>");
    Body::from_stream(stream::iter([begin, Err(io::Error::other("the demo cuts the connection"))]))
}
