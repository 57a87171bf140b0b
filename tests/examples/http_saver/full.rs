//! More requests at once than there are slots.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Barrier, task::JoinSet};

use super::saver::Saver;
use testkit::http::{Answer, Connection, request};

const SLOTS: usize = 100;
const CLIENTS: usize = 200;

/// A body that no other client sends.
fn body(client: usize) -> Vec<u8> {
    format!("the body of client {client}, ").repeat(client * 7 + 1).into_bytes()
}

/// Every client on a separate connection, all at once.
async fn post_at_once(address: &str) -> Vec<(usize, Answer)> {
    let all_connected = Arc::new(Barrier::new(CLIENTS));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (address, all_connected) = (address.to_owned(), all_connected.clone());
        clients.spawn(async move {
            let mut connection = Connection::open(&address).await.unwrap();
            all_connected.wait().await;
            (client, connection.exchange("POST", "/save", &body(client)).await.unwrap())
        });
    }
    clients.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_requests_get_100_202_and_100_503() {
    // No save ends before its token fires: every answer is sent while the slots are held.
    let saver = Saver::start(["--slots", "100", "--delay", "3600", "--grace", "6"]);

    let started = Instant::now();
    let answers = post_at_once(&saver.address).await;
    assert!(started.elapsed() < Duration::from_secs(5), "no request waits for a slot");

    let (accepted, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|(_, answer)| answer.status == 202);
    assert_eq!((accepted.len(), refused.len()), (SLOTS, CLIENTS - SLOTS));
    for (_, answer) in refused {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
    }
    assert_eq!(saver.files(), BTreeMap::new());
    assert_eq!(request(&saver.address, "GET", "/healthz", b"").await.status, 200);

    saver.terminate();
    let (ended, files) = saver.end().await;

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let promised: BTreeMap<_, _> = accepted
        .into_iter()
        .map(|(client, answer)| (answer.text().trim_end().to_owned(), body(*client)))
        .collect();
    assert_eq!(promised.len(), SLOTS, "the names are unique");
    assert!(files == promised, "{:?}", files.keys());
}

#[tokio::test]
async fn a_slot_is_free_again_when_its_body_is_saved() {
    let saver = Saver::start(["--slots", "1"]);
    for n in 0..20 {
        // The previous one may still be in progress.
        while request(&saver.address, "POST", "/save", &body(n)).await.status == 503 {}
    }
    saver.terminate();
    let (ended, files) = saver.end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let mut bodies: Vec<_> = files.into_values().collect();
    bodies.sort_by_key(Vec::len);
    assert!(bodies == (0..20).map(body).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_slow_client_holds_no_slot() {
    let saver = Saver::start(["--slots", "1"]);
    let mut slow = Connection::open(&saver.address).await.unwrap();
    slow.send(
        b"POST /save HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n",
    )
    .await
    .unwrap();
    assert_eq!(slow.answer().await.unwrap().status, 100, "the server waits for its body");

    let quick = request(&saver.address, "POST", "/save", b"quick").await;
    assert_eq!(quick.status, 202);
    // Until that one has been saved.
    while saver.files().is_empty() {
        tokio::task::yield_now().await;
    }
    slow.send(b"slow").await.unwrap();
    assert!([202, 503].contains(&slow.answer().await.unwrap().status));
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_and_takes_no_slot() {
    let saver = Saver::start(["--slots", "1", "--delay", "3600"]);
    let answer = request(&saver.address, "POST", "/save", &vec![b'x'; (1 << 20) + 1]).await;
    assert_eq!(answer.status, 413);
    let longest = request(&saver.address, "POST", "/save", &vec![b'x'; 1 << 20]).await;
    assert_eq!(longest.status, 202);
}
