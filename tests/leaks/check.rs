//! `LeakCheck` in code of any kind.

use std::error::Error;

use tokio_supervised::{CancellationToken, Group, LeakCheck, TaskError, supervised, task};

use crate::support::{kept_pool, wait_for_ever};

#[supervised(name = "ticker")]
async fn tick() -> Result<(), TaskError> {
    std::future::pending().await
}

#[tokio::test]
async fn tasks_from_before_the_check_are_ignored() {
    kept_pool().spawn(wait_for_ever).await.unwrap();
    tokio::spawn(std::future::pending::<()>());
    LeakCheck::new().verify().await.unwrap();
}

#[tokio::test]
async fn tasks_from_before_the_check_hide_no_later_leaks() {
    kept_pool().spawn(wait_for_ever).await.unwrap();
    let check = LeakCheck::new();
    kept_pool().spawn(tick).await.unwrap();
    tokio::spawn(std::future::pending::<()>());
    let leaks = check.verify().await.unwrap_err();
    let names: Vec<_> = leaks.tasks().iter().map(|task| task.name).collect();
    assert_eq!((&names[..], leaks.unsupervised()), (&["ticker"][..], 1));
}

#[tokio::test]
async fn a_check_with_only_bare_spawns_suggests_no_name_to_ignore() {
    let check = LeakCheck::default();
    for _ in 0..2 {
        tokio::spawn(std::future::pending::<()>());
    }
    let leaks = check.verify().await.unwrap_err();
    assert_eq!((leaks.tasks().len(), leaks.unsupervised()), (0, 2));
    let said = leaks.to_string();
    assert!(said.contains("leaked 2 untracked tokio tasks:\n"), "{said}");
    assert!(said.ends_with(" create the `LeakCheck` after it starts."), "{said}");
}

#[tokio::test]
async fn a_task_ignored_by_name_may_start_later() {
    let check = LeakCheck::new().ignore("ticker");
    let pool = kept_pool();
    pool.spawn(tick).await.unwrap();
    check.verify().await.unwrap();
    pool.spawn(wait_for_ever).await.unwrap();
    let leaks = check.verify().await.unwrap_err();
    let names: Vec<_> = leaks.tasks().iter().map(|task| task.name).collect();
    assert_eq!(names, ["wait_for_ever"]);
}

#[tokio::test]
async fn a_check_can_be_repeated_and_forgets_ended_tasks() {
    let check = LeakCheck::new();
    let token = CancellationToken::new();
    let group = Group::new(&token);
    group.spawn(tick).await;
    assert_eq!(check.verify().await.unwrap_err().tasks().len(), 1);
    token.cancel();
    _ = group.join().await;
    check.verify().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_does_not_report_its_own_task() {
    let check = task!("checks", |_| -> Result<(), TaskError> {
        LeakCheck::new().verify().await.unwrap();
        Ok(())
    });
    let group = Group::new(&CancellationToken::new());
    group.spawn(check).await;
    group.join().await.unwrap();
    let in_a_bare_task = tokio::spawn(async { LeakCheck::new().verify().await });
    in_a_bare_task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_supervised_blocking_task_is_found() {
    let check = LeakCheck::new();
    let (end, is_to_end) = std::sync::mpsc::channel::<()>();
    let pool = kept_pool();
    pool.spawn_blocking("blocks", move |_| {
        _ = is_to_end.recv();
        Ok::<_, TaskError>(())
    })
    .await
    .unwrap();
    let leaks = check.verify().await.unwrap_err();
    assert_eq!((leaks.tasks().len(), leaks.unsupervised()), (1, 0));
    drop(end);
    check.verify().await.unwrap();
}

#[tokio::test]
async fn a_local_task_is_found_and_counts_as_one() {
    let check = LeakCheck::new();
    let set = tokio::task::LocalSet::new();
    set.run_until(async {
        let pool = kept_pool();
        pool.spawn_local(tick).await.unwrap();
        let leaks = check.verify().await.unwrap_err();
        assert_eq!((leaks.tasks().len(), leaks.unsupervised()), (1, 0));
    })
    .await;
    drop(set);
    check.verify().await.unwrap();
}

#[tokio::test]
async fn another_runtime_is_not_checked() {
    let check = LeakCheck::new();
    let other = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            kept_pool().spawn(tick).await.unwrap();
        });
        runtime
    });
    let other = other.join().unwrap();
    check.verify().await.unwrap();
    other.shutdown_background();
}

#[tokio::test]
async fn leaks_are_an_error_that_can_be_propagated() {
    async fn stage() -> Result<(), Box<dyn Error + Send + Sync>> {
        let check = LeakCheck::new();
        kept_pool().spawn(tick).await?;
        check.verify().await?;
        Ok(())
    }
    let error = stage().await.unwrap_err();
    assert!(error.downcast_ref::<tokio_supervised::Leaks>().is_some());
    assert!(error.source().is_none());
}

#[test]
fn a_check_can_go_to_another_thread() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<LeakCheck>();
    fn is_send<T: Send>(_: impl FnOnce(&'static LeakCheck) -> T) {}
    is_send(LeakCheck::verify);
}
