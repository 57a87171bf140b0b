//! How a test under the attribute ends, apart from leaks.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use tokio_supervised::{CancellationToken, TaskError, supervised};

use crate::support::{block_for_ever, failure_of, keep, kept_pool, wait_for_ever};

#[supervised::test]
#[should_panic = "as it was"]
async fn a_panic_is_resumed() {
    kept_pool().spawn(wait_for_ever).await.unwrap();
    panic!("as it was");
}

#[test]
fn a_panic_keeps_its_payload_and_reports_no_leak() {
    assert_eq!(failure_of(a_panic_is_resumed), "as it was");
}

#[supervised::test]
#[ignore = "fixture of another test"]
async fn fails() -> Result<(), String> {
    kept_pool().spawn(wait_for_ever).await.unwrap();
    Err("by itself".to_owned())
}

#[test]
fn an_error_is_returned_and_no_leak_is_reported() {
    let returned: fn() -> Result<(), String> = fails;
    assert_eq!(returned(), Err("by itself".to_owned()));
}

#[supervised::test]
async fn a_result_that_is_ok() -> anyhow::Result<()> {
    Ok(())
}

#[supervised::test]
async fn an_exit_code() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}

#[supervised::test]
async fn every_return_type_of_a_test() -> impl std::process::Termination {
    std::process::ExitCode::SUCCESS
}

#[supervised::test]
#[ignore = "fixture of another test: it is ignored"]
async fn an_ignored_test() {
    unreachable!("the test must be ignored");
}

#[supervised::test]
#[cfg(any())]
async fn a_test_that_is_compiled_out() {
    not_there();
}

/// Documented and public.
#[supervised::test]
pub(crate) async fn a_test_with_an_owned_token(token: CancellationToken) {
    assert!(!token.is_cancelled());
}

#[supervised::test]
async fn a_test_with_a_borrowed_token(token: &CancellationToken) -> Result<(), TaskError> {
    token.cancel();
    token.cancelled().await;
    Ok(())
}

#[supervised::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_requested_number_of_workers() {
    assert_eq!(tokio::runtime::Handle::current().metrics().num_workers(), 3);
}

#[supervised::test]
async fn one_thread_by_default() {
    let flavor = tokio::runtime::Handle::current().runtime_flavor();
    assert_eq!(flavor, tokio::runtime::RuntimeFlavor::CurrentThread);
}

#[supervised::test(allow(detached_spawn), leaks = "allow")]
async fn leaves_a_thread_and_a_drop_that_never_end() {
    struct Blocks;
    impl Drop for Blocks {
        fn drop(&mut self) {
            block_for_ever();
        }
    }
    tokio::task::spawn_blocking(block_for_ever);
    let blocks = Blocks;
    tokio::spawn(async move {
        keep(&blocks);
        std::future::pending::<()>().await;
    });
    tokio::task::yield_now().await;
}

#[test]
fn leaked_tasks_do_not_block_the_test() {
    let started = Instant::now();
    leaves_a_thread_and_a_drop_that_never_end();
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

static WAS_DROPPED: AtomicBool = AtomicBool::new(false);

struct PrintsItsDrop;

impl Drop for PrintsItsDrop {
    fn drop(&mut self) {
        WAS_DROPPED.store(true, Ordering::SeqCst);
    }
}

#[supervised::test(leaks = "allow", allow(detached_spawn))]
async fn leaves_something_that_can_be_dropped() {
    let prints = PrintsItsDrop;
    tokio::spawn(async move {
        std::future::pending::<()>().await;
        drop(prints);
    });
}

#[test]
fn leaked_tasks_are_dropped_before_the_test_returns() {
    leaves_something_that_can_be_dropped();
    assert!(WAS_DROPPED.load(Ordering::SeqCst));
}
