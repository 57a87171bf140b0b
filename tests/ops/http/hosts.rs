//! Which hosts are answered.

use tokio_supervised::ops;

use super::{Connection, HTML, ask};

#[tokio::test]
async fn requests_for_another_host_are_refused_on_every_path() {
    let address = ops::listen(0).unwrap();
    let paths = ["/metrics", "/healthz", "/readyz", "/debug/tasks", "/debug/tasks/events", "/"];
    for path in paths {
        let answer = ask(address, path, &[("host", "evil.example:7070"), HTML]).await;
        assert_eq!(answer.status, 403, "{path}");
        assert_eq!(answer.text(), "this answers to localhost alone\n");
    }
    assert_eq!(ask(address, "http://evil.example/metrics", &[]).await.status, 403);
}

#[tokio::test]
async fn requests_for_any_local_name_are_answered() {
    let address = ops::listen(0).unwrap();
    for host in ["127.0.0.1:1", "localhost", "[::1]:80"] {
        assert_eq!(ask(address, "/readyz", &[("host", host)]).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn a_request_without_a_host_is_refused() {
    let address = ops::listen(0).unwrap();
    let mut connection = Connection::open(&address.to_string()).await.unwrap();
    connection.send(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    assert_eq!(connection.answer().await.unwrap().status, 403);
}

#[tokio::test]
async fn it_listens_on_the_loopback_address_only() {
    let address = ops::listen(0).unwrap();
    assert!(address.ip().is_loopback());
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_the_address() {
    let address = ops::listen(0).unwrap();
    let error = ops::listen(address.port()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let expected = format!("failed to serve the ops page at {address}: ");
    assert!(error.to_string().starts_with(&expected), "{error}");
}
