//! The bodies that were answered with 202.

use std::{collections::BTreeMap, fs, sync::Arc};

use tokio::{sync::watch, task::JoinSet};

use super::saver::Saver;
use testkit::http::{Connection, request};
use testkit::random::Random;

const ROUNDS: usize = 20;
const CLIENTS: usize = 16;

/// The longest body of a client, and the maximum number of answers in a round before the signal.
const LONGEST: usize = 16 << 10;
const MOST_ACCEPTED: usize = 60;

/// Posts until the server is gone; returns the accepted bodies by name.
async fn post_until_the_end(
    address: String,
    mut random: Random,
    accepted: Arc<watch::Sender<usize>>,
) -> Vec<(String, Vec<u8>)> {
    let mut promised = Vec::new();
    // Several requests on each connection, so a stop may fall between two.
    while let Ok(mut connection) = Connection::open(&address).await {
        for _ in 0..1 + random.below(20) {
            let length = random.below(LONGEST);
            let body = random.bytes(length);
            match connection.exchange("POST", "/save", &body).await {
                Ok(answer) if answer.status == 202 => {
                    promised.push((answer.text().trim_end().to_owned(), body));
                    accepted.send_modify(|accepted| *accepted += 1);
                }
                Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                Err(_) => break,
            }
        }
    }
    promised
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_at_any_moment_under_load_loses_no_accepted_body() {
    let mut random = Random::from_environment();
    let mut unheard_of = 0;
    for round in 0..ROUNDS {
        let saver = Saver::start(["--slots", "4", "--delay", "0.005"]);
        let accepted = Arc::new(watch::Sender::new(0));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let address = saver.address.clone();
            clients.spawn(post_until_the_end(address, random.fork(), accepted.clone()));
        }
        let enough = random.below(MOST_ACCEPTED);
        accepted.subscribe().wait_for(|accepted| *accepted >= enough).await.unwrap();
        saver.terminate();
        let (ended, mut files) = saver.end().await;

        assert_eq!(ended.status.code(), Some(0), "round {round}: {ended:#?}");
        for (name, body) in clients.join_all().await.into_iter().flatten() {
            let saved = files.remove(&name);
            assert!(
                saved.is_some_and(|saved| saved == body),
                "round {round}: {name} is incomplete"
            );
        }
        // The rest was saved, but its client received no answer.
        assert!(files.keys().all(|name| !name.starts_with('.')), "round {round}: {files:?}");
        unheard_of += files.len();
    }
    assert!(unheard_of <= ROUNDS * CLIENTS, "at most one for each connection that was closed");
}

const WAITING: &[u8] = b"POST /save HTTP/1.1\r\nhost: saver\r\nprefer: wait\r\n\
    content-length: 4\r\n\r\nbody";

#[tokio::test]
async fn a_client_that_waits_is_answered_once_its_body_is_on_disk() {
    let saver = Saver::start([]);
    let mut connection = Connection::open(&saver.address).await.unwrap();
    connection.send(WAITING).await.unwrap();
    let answer = connection.answer().await.unwrap();
    assert_eq!(answer.status, 201);
    assert_eq!(saver.files().remove(answer.text().trim_end()).unwrap(), b"body");
    saver.terminate();
    assert_eq!(saver.end().await.0.status.code(), Some(0));
}

#[tokio::test]
async fn a_client_that_stops_waiting_loses_nothing() {
    let (saver, connection) = loop {
        let saver = Saver::start(["--slots", "1", "--delay", "0.2"]);
        let mut connection = Connection::open(&saver.address).await.unwrap();
        connection.send(WAITING).await.unwrap();
        // If this one is refused, the only slot is taken. Otherwise it came first.
        if request(&saver.address, "POST", "/save", b"other").await.status == 503 {
            break (saver, connection);
        }
    };
    drop(connection);
    saver.terminate();
    let (ended, files) = saver.end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(files.values().any(|body| body == b"body"), "{files:?}");
}

#[tokio::test]
async fn a_client_that_disconnects_after_its_202_loses_nothing() {
    let saver = Saver::start(["--delay", "3600", "--grace", "0.5"]);
    // The connection is closed with the answer.
    let answer = request(&saver.address, "POST", "/save", b"left alone").await;
    assert_eq!(answer.status, 202);
    saver.terminate();
    let (ended, files) = saver.end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let name = answer.text().trim_end().to_owned();
    assert_eq!(files, BTreeMap::from([(name, b"left alone".to_vec())]));
}

#[tokio::test]
async fn a_body_that_cannot_be_saved_is_named_and_fails_the_exit() {
    let saver = Saver::start([]);
    fs::remove_dir(saver.directory()).unwrap();
    let answer = request(&saver.address, "POST", "/save", b"nowhere to go").await;
    assert_eq!(answer.status, 202);
    saver.terminate();
    let (ended, files) = saver.end().await;
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    let name = answer.text().trim_end();
    assert!(
        ended.stderr.contains(&format!("not known to be saved: {name} (13 bytes)\n")),
        "{ended:#?}"
    );
    assert!(
        ended.stderr.contains("task `save` of a pool ended as error: No such file"),
        "{ended:#?}"
    );
    assert!(ended.stderr.contains("Error: 1 accepted bodies were not saved"), "{ended:#?}");
    assert_eq!(files, BTreeMap::new());
}

#[tokio::test]
async fn bodies_that_exceed_the_grace_are_complete_or_named() {
    // With a grace of zero a save has one turn: some may just complete.
    let saver = Saver::start(["--delay", "3600", "--grace", "0"]);
    let mut connection = Connection::open(&saver.address).await.unwrap();
    let mut names = Vec::new();
    for n in 0..50 {
        let answer = connection.exchange("POST", "/save", &[n; 3000]).await.unwrap();
        assert_eq!(answer.status, 202);
        names.push(answer.text().trim_end().to_owned());
    }
    saver.terminate();
    let (ended, files) = saver.end().await;
    let mut named = 0;
    for (name, n) in names.iter().zip(0..) {
        match ended.stderr.contains(&format!("not known to be saved: {name} (3000 bytes)\n")) {
            true => named += 1,
            false => assert_eq!(files.get(name), Some(&vec![n; 3000]), "{name}: {ended:#?}"),
        }
    }
    assert_eq!(ended.status.code(), Some(if named > 0 { 75 } else { 0 }), "{ended:#?}");
}
