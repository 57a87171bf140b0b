//! The signal: the components stop one after the other.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::program::Service;
use testkit::http::Connection;

pub(crate) const IN_ORDER: [&str; 4] = ["readiness", "server", "consumer", "flusher"];

/// Posts jobs, one after the other; all of them are accepted.
pub(crate) async fn post_jobs(service: &Service, jobs: usize) -> Vec<String> {
    let jobs: Vec<_> = (0..jobs).map(|n| format!("job {n}")).collect();
    let mut connection = Connection::open(&service.address).await.unwrap();
    for job in &jobs {
        let answer = connection.exchange("POST", "/jobs", job.as_bytes()).await.unwrap();
        assert_eq!(answer.status, 202);
    }
    jobs
}

#[tokio::test]
async fn a_signal_stops_the_parts_in_order_after_accepted_work() {
    // When the last job is accepted, half a second of work is usually left.
    let service = Service::start(["--work", "0.01"]);
    let jobs = post_jobs(&service, 50).await;
    service.terminate();
    let left = service.end().await;

    assert_eq!(left.ended.status.code(), Some(0), "{left:#?}");
    assert_eq!(left.order(), IN_ORDER, "{left:#?}");
    left.is_complete(&jobs);
    assert_eq!(left.number("jobs_refused"), 0);
    assert_eq!(left.number("ready"), 0, "the last numbers are written last: {left:#?}");
}

#[tokio::test]
async fn the_last_numbers_are_flushed_between_two_ticks() {
    let service = Service::start(["--every", "3600"]);
    let jobs = post_jobs(&service, 3).await;
    service.terminate();
    service.end().await.is_complete(&jobs);
}

/// Posts until the server is gone; returns the accepted jobs.
async fn post_until_the_end(address: String, client: usize) -> Vec<String> {
    let mut accepted = Vec::new();
    let mut connection = Connection::open(&address).await.unwrap();
    for n in 0.. {
        let job = format!("job {n} of client {client}");
        match connection.exchange("POST", "/jobs", job.as_bytes()).await {
            Ok(answer) if answer.status == 202 => accepted.push(job),
            Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
            Err(_) => break,
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_under_load_loses_no_accepted_job() {
    for _ in 0..5 {
        let service = Service::start(["--queue", "20", "--work", "0.001", "--every", "0.01"]);
        let mut clients = JoinSet::new();
        for client in 0..8 {
            clients.spawn(post_until_the_end(service.address.clone(), client));
        }
        while service.post("/jobs", "one that comes too many").await.status == 202 {}
        service.terminate();
        let left = service.end().await;
        let accepted: BTreeSet<_> = clients.join_all().await.into_iter().flatten().collect();

        assert_eq!(left.ended.status.code(), Some(0), "{left:#?}");
        assert_eq!(left.order(), IN_ORDER);
        let done: BTreeSet<_> = left.done.iter().cloned().collect();
        assert!(accepted.is_subset(&done), "{:?}", accepted.difference(&done));
        assert_eq!(left.number("jobs_done"), left.done.len());
        assert_eq!(left.number("jobs_accepted"), left.done.len());
        assert!(left.number("jobs_refused") > 0);
    }
}

#[tokio::test]
async fn readiness_drops_first_and_requests_are_answered_meanwhile() {
    let mut service = Service::start(["--linger", "4"]);
    assert_eq!(service.get("/readyz").await, 200);
    service.terminate();
    service.says("shutting down");
    while service.get("/readyz").await == 200 {}
    assert_eq!(service.get("/healthz").await, 200);
    let jobs = post_jobs(&service, 3).await;
    let left = service.end().await;
    assert_eq!(left.ended.status.code(), Some(0), "{left:#?}");
    assert_eq!(left.order(), IN_ORDER);
    left.is_complete(&jobs);
}

#[tokio::test]
async fn idle_it_exits_within_a_second() {
    let service = Service::start([]);
    let mut kept = Connection::open(&service.address).await.unwrap();
    assert_eq!(kept.exchange("GET", "/readyz", b"").await.unwrap().status, 200);
    let signalled = Instant::now();
    service.terminate();
    let left = service.end().await;
    assert!(signalled.elapsed() < Duration::from_secs(1), "{:?}", signalled.elapsed());
    assert_eq!(left.ended.status.code(), Some(0), "{left:#?}");
    left.is_complete(&[]);
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_second_signal_ends_the_process() {
    let mut service = Service::start(["--queue", "1", "--work", "3600"]);
    let refused = loop {
        let answer = service.post("/jobs", "a job that takes an hour").await;
        if answer.status != 202 {
            break answer;
        }
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.header("retry-after"), Some("1"), "{refused:?}");
    service.terminate();
    service.says("service `server` has stopped");
    service.terminate();
    let left = service.end().await;
    assert_eq!(left.ended.status.code(), Some(143), "{left:#?}");
    assert_eq!(left.order(), ["readiness", "server"]);
}

#[tokio::test]
async fn an_endless_request_fails_its_server_and_loses_no_job() {
    let service = Service::start(["--work", "0.1"]);
    // Its connection outlives the server and can still reach the queue: the consumer must close it.
    let mut half = Connection::open(&service.address).await.unwrap();
    half.send(b"POST /jo").await.unwrap();
    // More work than the server's grace allows.
    let jobs = post_jobs(&service, 60).await;
    service.terminate();
    let left = service.end().await;
    assert_eq!(left.ended.status.code(), Some(75), "a request was cut off: {left:#?}");
    assert!(
        left.ended.stderr.contains("Error: service `server` did not stop in time"),
        "{left:#?}"
    );
    assert!(!left.ended.stderr.contains("service `consumer` did not stop"), "{left:#?}");
    assert_eq!(left.order(), IN_ORDER);
    left.is_complete(&jobs);
}

#[tokio::test]
async fn a_part_that_does_not_stop_is_named_and_the_order_kept() {
    let service = Service::start(["--work", "3600"]);
    let jobs = post_jobs(&service, 3).await;
    service.terminate();
    let left = service.end().await;
    assert_eq!(left.ended.status.code(), Some(75), "the work is not done: {left:#?}");
    assert!(
        left.ended.stderr.contains("Error: service `consumer` did not stop in time"),
        "{left:#?}"
    );
    assert_eq!(left.order(), IN_ORDER);
    assert_eq!(left.number("jobs_accepted"), jobs.len());
    assert_eq!(left.number("jobs_done"), 0);
}
