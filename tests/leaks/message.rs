//! The words of a failure without ages, ids and counts of attempts.

use tokio_supervised::{Group, LeakCheck, TaskError, supervised, task};

use crate::support::{block_for_ever, failure_of, kept_pool, wait_for_ever};

#[supervised::test(allow(detached_spawn))]
#[should_panic]
async fn leaves_some_of_each() {
    let (started, has_started) = tokio::sync::oneshot::channel();
    let root = task!("root", |token| -> Result<(), TaskError> {
        let group = Group::new(&token);
        group.spawn(wait_for_ever).await;
        _ = started.send(());
        group.join().await.map(drop)
    });
    kept_pool().spawn(root).await.unwrap();
    has_started.await.unwrap();
    tokio::spawn(std::future::pending::<()>());
    tokio::task::spawn_blocking(block_for_ever);
}

#[test]
fn a_test_lists_each_task_and_the_remedy() {
    let text = redacted(&failure_of(leaves_some_of_each));
    assert_eq!(text, include_str!("test_report.txt").trim_end(), "{text}");
}

#[tokio::test]
async fn a_check_lists_each_task_and_the_remedy() {
    let check = LeakCheck::new();
    kept_pool().spawn(wait_for_ever).await.unwrap();
    let text = redacted(&check.verify().await.unwrap_err().to_string());
    assert_eq!(text, include_str!("check_report.txt").trim_end(), "{text}");
}

#[tokio::test]
async fn alike_tasks_beyond_ten_are_only_counted() {
    let check = LeakCheck::new();
    let pool = kept_pool();
    for _ in 0..50 {
        pool.spawn(wait_for_ever).await.unwrap();
    }
    let leaks = check.verify().await.unwrap_err();
    assert_eq!(leaks.tasks().len(), 50);
    let text = leaks.to_string();
    assert_eq!(text.matches("wait_for_ever (task").count(), 10, "{text}");
    assert!(text.contains("\n  … 40 × wait_for_ever at "), "{text}");
}

/// `…` for each number that differs between runs.
fn redacted(text: &str) -> String {
    let mut redacted = String::new();
    for word in text.split_inclusive([' ', '\n']) {
        let is_number = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        };
        let bare = word.trim_end_matches([' ', '\n']);
        let end = &word[bare.len()..];
        match bare {
            id if id.strip_suffix("):").is_some_and(is_number) => redacted.push_str("…):"),
            id if id.strip_suffix(')').is_some_and(is_number) => redacted.push_str("…)"),
            number if is_number(number) && redacted.ends_with("running, ") => redacted.push('…'),
            number if is_number(number) && redacted.ends_with(".rs for ") => redacted.push('…'),
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
