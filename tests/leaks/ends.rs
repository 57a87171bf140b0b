//! How a test under the attribute ends, leaks aside.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use tokio_supervised::{CancellationToken, TaskError, supervised};

use crate::support::{block_for_ever, keep, kept_pool, said_by, wait_for_ever};

#[supervised::test]
#[should_panic = "as it was"]
async fn a_panic_is_resumed() {
    kept_pool().spawn(wait_for_ever).await.unwrap();
    panic!("as it was");
}

#[test]
fn a_panic_keeps_its_payload_and_no_leak_is_told_beside_it() {
    assert_eq!(said_by(a_panic_is_resumed), "as it was");
}

#[supervised::test]
#[ignore = "fixture of another test"]
async fn fails() -> Result<(), String> {
    kept_pool().spawn(wait_for_ever).await.unwrap();
    Err("by itself".to_owned())
}

#[test]
fn an_error_is_returned_and_no_leak_is_told_beside_it() {
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
async fn whatever_a_test_may_return() -> impl std::process::Termination {
    std::process::ExitCode::SUCCESS
}

#[supervised::test]
#[ignore = "fixture of another test: it is ignored"]
async fn an_ignored_test() {
    unreachable!("it is ignored");
}

#[supervised::test]
#[cfg(any())]
async fn a_test_that_is_not_there() {
    not_there();
}

/// Documented, and public.
#[supervised::test]
pub(crate) async fn a_token_that_is_given(token: CancellationToken) {
    assert!(!token.is_cancelled());
}

#[supervised::test]
async fn a_token_that_is_lent(token: &CancellationToken) -> Result<(), TaskError> {
    token.cancel();
    token.cancelled().await;
    Ok(())
}

#[supervised::test(flavor = "multi_thread", worker_threads = 3)]
async fn as_many_workers_as_were_asked_for() {
    assert_eq!(tokio::runtime::Handle::current().metrics().num_workers(), 3);
}

#[supervised::test]
async fn one_thread_where_nothing_is_said() {
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
fn nothing_that_is_left_holds_the_test() {
    let begun = Instant::now();
    leaves_a_thread_and_a_drop_that_never_end();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

static WAS_DROPPED: AtomicBool = AtomicBool::new(false);

struct TellsItsDrop;

impl Drop for TellsItsDrop {
    fn drop(&mut self) {
        WAS_DROPPED.store(true, Ordering::SeqCst);
    }
}

#[supervised::test(leaks = "allow", allow(detached_spawn))]
async fn leaves_something_that_can_be_dropped() {
    let tells = TellsItsDrop;
    tokio::spawn(async move {
        std::future::pending::<()>().await;
        drop(tells);
    });
}

#[test]
fn what_is_left_is_dropped_before_the_test_returns() {
    leaves_something_that_can_be_dropped();
    assert!(WAS_DROPPED.load(Ordering::SeqCst));
}
