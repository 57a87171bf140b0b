//! The words of a failure: ages, ids and counts of looks aside.

use tokio_supervised::{Group, LeakCheck, TaskError, supervised, task};

use crate::support::{block_for_ever, kept_pool, said_by, wait_for_ever};

#[supervised::test(allow(detached_spawn))]
#[should_panic]
async fn leaves_some_of_each() {
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let root = task!("root", |token| -> Result<(), TaskError> {
        let group = Group::new(&token);
        group.spawn(wait_for_ever).await;
        _ = begun.send(());
        group.join().await.map(drop)
    });
    kept_pool().spawn(root).await.unwrap();
    has_begun.await.unwrap();
    tokio::spawn(std::future::pending::<()>());
    tokio::task::spawn_blocking(block_for_ever);
}

#[test]
fn a_test_tells_each_task_and_what_to_do() {
    let said = redacted(&said_by(leaves_some_of_each));
    assert_eq!(said, include_str!("said_by_a_test.txt").trim_end(), "{said}");
}

#[tokio::test]
async fn a_check_tells_each_task_and_what_to_do() {
    let check = LeakCheck::new();
    kept_pool().spawn(wait_for_ever).await.unwrap();
    let said = redacted(&check.verify().await.unwrap_err().to_string());
    assert_eq!(said, include_str!("said_by_a_check.txt").trim_end(), "{said}");
}

#[tokio::test]
async fn many_tasks_are_counted_from_the_twenty_first_on() {
    let check = LeakCheck::new();
    let pool = kept_pool();
    for _ in 0..50 {
        pool.spawn(wait_for_ever).await.unwrap();
    }
    let leaks = check.verify().await.unwrap_err();
    assert_eq!(leaks.tasks().len(), 50);
    let said = leaks.to_string();
    assert_eq!(said.matches("wait_for_ever (task").count(), 20, "{said}");
    assert!(said.contains("\n  … and 30 more\n"), "{said}");
}

/// `…` for each number that differs from run to run.
fn redacted(said: &str) -> String {
    let mut redacted = String::new();
    for word in said.split_inclusive([' ', '\n']) {
        let is_number = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        };
        let bare = word.trim_end_matches([' ', '\n']);
        let end = &word[bare.len()..];
        match bare {
            id if id.strip_suffix("):").is_some_and(is_number) => redacted.push_str("…):"),
            id if id.strip_suffix(')').is_some_and(is_number) => redacted.push_str("…)"),
            number if is_number(number) && redacted.ends_with("running, ") => redacted.push('…'),
            number if is_number(number) && redacted.ends_with("within ") => redacted.push('…'),
            number if is_number(number) && redacted.ends_with("Checked ") => redacted.push('…'),
            place if place.contains(".rs:") => {
                redacted.push_str("tests/leaks/….rs");
                redacted.extend(place.ends_with(',').then_some(','));
            }
            word => redacted.push_str(word),
        }
        redacted.push_str(end);
    }
    redacted
}
