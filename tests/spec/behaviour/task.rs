//! Foreign futures under a name.

use std::{future::pending, io};

use tokio_supervised::{CancellationToken, Group, Outcome, TaskError, map, task};

use testkit::{in_time, outcomes_of, turn};

#[tokio::test]
async fn an_expression_joins_a_group_under_its_name() {
    let token = CancellationToken::new();
    let group = Group::new(&token);
    group
        .spawn(task!("task: expression", |token| async move {
            token.cancelled().await;
            io::Result::Ok(1)
        }))
        .await;
    turn().await;
    token.cancel();
    assert_eq!(in_time(group.join()).await.unwrap(), [1]);
    assert_eq!(outcomes_of("task: expression"), [(Outcome::Ok, 1)]);
}

#[tokio::test]
async fn an_async_body_has_awaits_and_question_marks() {
    let group = Group::new(&CancellationToken::new());
    group
        .spawn(task!("task: body", |token| -> anyhow::Result<u32> {
            assert!(!token.is_cancelled());
            turn().await;
            Ok("7".parse::<u32>()?)
        }))
        .await;
    assert_eq!(in_time(group.join()).await.unwrap(), [7]);
}

#[tokio::test]
async fn a_closure_with_a_token_cooperates_and_others_are_dropped() {
    let token = CancellationToken::new();
    let group = Group::<(), TaskError>::new(&token);
    group
        .spawn(task!("task: cooperates", |token| -> Result<(), TaskError> {
            token.cancelled().await;
            turn().await;
            Ok(())
        }))
        .await;
    group.spawn(task!("task: is dropped", |_| pending::<Result<(), TaskError>>())).await;
    turn().await;
    token.cancel();
    in_time(group.join()).await.unwrap_err();
    assert_eq!(outcomes_of("task: cooperates"), [(Outcome::Ok, 1)]);
    assert_eq!(outcomes_of("task: is dropped"), [(Outcome::Cancelled, 1)]);
}

#[tokio::test]
async fn the_arguments_of_the_attribute_follow_the_name() {
    let resize = task!("task: arguments", limit = 2, timeout = "1h", |_, n: u32| async move {
        turn().await;
        Ok::<_, TaskError>(n * 2)
    });
    let sizes = in_time(map(&CancellationToken::new(), 0..10, resize)).await.unwrap();
    assert_eq!(sizes, (0..10).map(|n| n * 2).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_closure_for_many_items_may_clone_what_it_captured() {
    let prefix = String::from("item ");
    let name = task!("task: captured", |_, n: u32| {
        let prefix = prefix.clone();
        async move { Ok::<_, TaskError>(format!("{prefix}{n}")) }
    });
    let names = in_time(map(&CancellationToken::new(), 1..=2, name)).await.unwrap();
    assert_eq!(names, ["item 1", "item 2"]);
}

#[tokio::test]
async fn a_panic_of_a_foreign_future_is_caught() {
    let group = Group::<(), TaskError>::new(&CancellationToken::new());
    group
        .spawn(task!("task: panics", |_| -> Result<(), TaskError> {
            turn().await;
            panic!("foreign")
        }))
        .await;
    let error = in_time(group.join()).await.unwrap_err();
    assert!(error.to_string().starts_with("task `task: panics` panicked at "), "{error}");
}
