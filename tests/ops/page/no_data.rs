//! The page without data.

use axum::{Router, response::Html, routing::get};
use tokio::net::TcpListener;
use tokio_supervised::ops;

use crate::browser::Browser;
use testkit::http::Connection;

/// The page without its stream.
async fn page_alone() -> Router {
    let address = ops::listen(0).unwrap();
    let mut connection = Connection::open(&address.to_string()).await.unwrap();
    let request = "GET /debug/tasks HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\n\r\n";
    connection.send(request.as_bytes()).await.unwrap();
    let page = connection.answer().await.unwrap().text().to_owned();
    Router::new().route("/debug/tasks", get(|| async { Html(page) }))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn a_page_without_a_snapshot_does_not_report_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = axum::serve(listener, page_alone().await).into_future();
    let check = move || {
        let mut browser = Browser::open(&format!("http://{address}/debug/tasks"));
        browser.until("document.querySelector('#state').innerText === 'no answer, trying again'");
        let claims = "/No task|None so far/.test(document.body.innerText)";
        assert_eq!(browser.value(claims), false);
    };
    tokio::select! {
        ended = served => panic!("{ended:?}"),
        checked = tokio::task::spawn_blocking(check) => checked.unwrap(),
    }
}
