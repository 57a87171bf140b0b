//! The signal.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::saver::Saver;
use testkit::http::{Connection, request};

#[tokio::test]
async fn idle_it_exits_within_a_second() {
    let saver = Saver::start([]);
    // A client that keeps its connection open, and one that has sent nothing.
    let mut kept = Connection::open(&saver.address).await.unwrap();
    assert_eq!(kept.exchange("GET", "/readyz", b"").await.unwrap().status, 200);
    let _silent = Connection::open(&saver.address).await.unwrap();

    let signalled = Instant::now();
    saver.terminate();
    let (ended, _) = saver.end().await;

    assert!(signalled.elapsed() < Duration::from_secs(1), "{:?}", signalled.elapsed());
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
}

#[tokio::test]
async fn readiness_drops_first_and_requests_are_answered_meanwhile() {
    let mut saver = Saver::start(["--linger", "4"]);
    let ready = request(&saver.address, "GET", "/readyz", b"").await;
    assert_eq!(ready.status, 200);

    saver.terminate();
    saver.wait_for_signal();
    while request(&saver.address, "GET", "/readyz", b"").await.status == 200 {}
    assert_eq!(request(&saver.address, "GET", "/healthz", b"").await.status, 200);
    let late = request(&saver.address, "POST", "/save", b"late, but in time").await;
    assert_eq!(late.status, 202);
    let (ended, files) = saver.end().await;

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let name = late.text().trim_end().to_owned();
    assert_eq!(files, BTreeMap::from([(name, b"late, but in time".to_vec())]));
}

#[tokio::test]
async fn a_request_in_progress_is_finished_and_its_body_kept() {
    let mut saver = Saver::start([]);
    let mut upload = Connection::open(&saver.address).await.unwrap();
    let head =
        b"POST /save HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n";
    upload.send(head).await.unwrap();
    assert_eq!(upload.answer().await.unwrap().status, 100, "the server waits for its body");

    saver.terminate();
    saver.wait_for_signal();
    upload.send(b"ten of ten").await.unwrap();
    let answer = upload.answer().await.unwrap();
    assert_eq!(answer.status, 202);
    let (ended, files) = saver.end().await;

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let name = answer.text().trim_end().to_owned();
    assert_eq!(files, BTreeMap::from([(name, b"ten of ten".to_vec())]));
}

#[tokio::test]
async fn an_unfinished_request_does_not_delay_the_exit_for_long() {
    let saver = Saver::start([]);
    let mut upload = Connection::open(&saver.address).await.unwrap();
    let head =
        b"POST /save HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n";
    upload.send(head).await.unwrap();
    assert_eq!(upload.answer().await.unwrap().status, 100, "the server waits for its body");
    let mut half = Connection::open(&saver.address).await.unwrap();
    half.send(b"POST /sa").await.unwrap();
    let whole = request(&saver.address, "POST", "/save", b"whole").await;

    let signalled = Instant::now();
    saver.terminate();
    assert_eq!(upload.answer().await.unwrap().status, 503);
    let (ended, files) = saver.end().await;

    assert!(signalled.elapsed() < Duration::from_secs(10), "{:?}", signalled.elapsed());
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    for said in ["task `receive` did not stop", "task `http` did not stop"] {
        assert!(ended.stderr.contains(said), "{ended:#?}");
    }
    assert_eq!(files, BTreeMap::from([(whole.text().trim_end().to_owned(), b"whole".to_vec())]));
}
