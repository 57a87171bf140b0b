//! One component fails, and the others stop in order.

use std::fs;

use super::{
    order::post_jobs,
    program::{Left, Service},
};

/// Makes a component fail after some jobs were accepted.
async fn fail(component: &str, work: &str) -> (Left, Vec<String>) {
    let service = Service::start(["--faults", "--work", work, "--every", "0.01"]);
    let jobs = post_jobs(&service, 20).await;
    let answer = service.post(&format!("/fail/{component}"), "").await;
    assert_eq!(answer.status, 202);
    let left = service.end().await;
    assert_eq!(left.ended.status.code(), Some(1), "{left:#?}");
    let said = format!("Error: service `{component}` failed");
    assert!(left.ended.stderr.lines().any(|line| line == said), "{left:#?}");
    let said = format!("the {component} failed on request");
    assert!(left.ended.stderr.contains(&said), "{left:#?}");
    (left, jobs)
}

#[tokio::test]
async fn all_work_is_done_after_the_server_fails() {
    let (left, jobs) = fail("server", "0.01").await;
    // The readiness does not take part, and is informed of the failure while the consumer works.
    let mut order = left.order();
    assert_eq!(order.remove(0), "server");
    assert_eq!(order, ["readiness", "consumer", "flusher"]);
    left.is_complete(&jobs);
}

#[tokio::test]
async fn a_failing_consumer_closes_the_service_and_counts_lost_jobs() {
    // The consumer notices it after about its first job, long before the last.
    let (left, jobs) = fail("consumer", "0.5").await;
    assert_eq!(left.order(), ["consumer", "readiness", "server", "flusher"]);
    assert_eq!(left.number("jobs_accepted"), jobs.len());
    assert_eq!(left.number("jobs_done"), left.done.len());
    assert!(left.done.len() < jobs.len(), "{left:#?}");
    assert_eq!(left.done, jobs[..left.done.len()]);
}

#[tokio::test]
async fn all_work_is_done_after_the_flusher_fails() {
    let (left, jobs) = fail("flusher", "0.01").await;
    assert_eq!(left.order(), ["flusher", "readiness", "server", "consumer"]);
    assert_eq!(left.done, jobs);
}

#[tokio::test]
async fn numbers_that_cannot_be_written_fail_the_flusher() {
    let service = Service::start(["--every", "0.01"]);
    let jobs = post_jobs(&service, 3).await;
    fs::remove_dir_all(service.place.path().join("kept")).unwrap();
    let left = service.end().await;
    assert_eq!(left.ended.status.code(), Some(1), "{left:#?}");
    let said = "the flusher cannot write `kept/metrics.txt`";
    assert!(left.ended.stderr.contains("Error: service `flusher` failed"), "{left:#?}");
    assert!(left.ended.stderr.contains(said), "{left:#?}");
    assert_eq!(left.order(), ["flusher", "readiness", "server", "consumer"]);
    assert_eq!(left.done, jobs);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_disk_that_is_full_is_a_failure_of_the_consumer() {
    let service = Service::start(["--done", "/dev/full"]);
    assert_eq!(service.post("/jobs", "a job").await.status, 202);
    let left = service.end().await;
    assert_eq!(left.ended.status.code(), Some(1), "{left:#?}");
    let said = "the consumer cannot write `/dev/full`";
    assert!(left.ended.stderr.contains("Error: service `consumer` failed"), "{left:#?}");
    assert!(left.ended.stderr.contains(said), "{left:#?}");
    assert_eq!(left.order(), ["consumer", "readiness", "server", "flusher"]);
    assert_eq!((left.number("jobs_accepted"), left.number("jobs_done")), (1, 0));
}

#[tokio::test]
async fn the_fault_routes_are_off_by_default() {
    let service = Service::start([]);
    assert_eq!(service.post("/fail/server", "").await.status, 404);
    service.terminate();
    assert_eq!(service.end().await.ended.status.code(), Some(0));
}
