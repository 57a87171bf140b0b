//! Calls the functions of `src/compositions.rs`.

use std::{
    future::{Future, pending, poll_fn, ready},
    pin::Pin,
    sync::Once,
    task::Poll,
};

use tokio_supervised::{CancellationToken, TaskError};

use super::compositions::{self, Plain, Promising, Worker};

/// Set before the first span: `tracing` caches for each callsite whether a subscriber is interested.
fn listen() {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry())
            .expect("no subscriber is set yet");
    });
}

#[tokio::test]
async fn a_body_is_in_the_span_of_an_instrument_above() -> Result<(), TaskError> {
    listen();
    let token = CancellationToken::new();
    assert_eq!(compositions::instrumented_above(&token, 1).await?, Some("instrumented_above"));
    assert_eq!(compositions::instrumented_with_a_token(&token, 1).await?, Some("span"));
    Ok(())
}

#[tokio::test]
async fn a_body_is_in_the_span_of_an_instrument_below() -> Result<(), TaskError> {
    listen();
    let token = CancellationToken::new();
    assert_eq!(compositions::instrumented_below(&token, 1).await?, Some("instrumented_below"));
    let in_span = compositions::instrumented_below_with_a_token(&token, 1).await?;
    assert_eq!(in_span, Some("instrumented_below_with_a_token"));
    let in_span = compositions::instrumented_below_by_another_path(&token).await?;
    assert_eq!(in_span, Some("instrumented_below_by_another_path"));
    Ok(())
}

#[tokio::test]
async fn an_instrumented_function_is_cancelled_and_spawned() {
    listen();
    let token = CancellationToken::new();
    let above = tokio::spawn(compositions::instrumented_above(token.clone(), 1));
    let below = tokio::spawn(compositions::instrumented_below(token.clone(), 1));
    assert!(above.await.expect("it ends in time").is_ok());
    assert!(below.await.expect("it ends in time").is_ok());
    token.cancel();
    let ended = compositions::instrumented_below(&token, 1).await;
    assert!(matches!(ended, Err(TaskError::Cancelled(_))));
}

#[tokio::test]
async fn all_instances_of_a_generic_function_share_its_limit() {
    let token = CancellationToken::new();
    let mut held = Vec::new();
    for n in 0..compositions::MOST {
        held.push(Box::pin(compositions::shared(&token, n, pending())));
    }
    for run in &mut held {
        assert!(polled_once(run.as_mut()).await.is_none());
    }
    let refused = compositions::shared(&token, "of another type", ready(())).await;
    assert!(matches!(refused, Err(TaskError::Rejected(_))));
    drop(held);
    let shown = compositions::shared(&token, 'x', ready(())).await;
    assert_eq!(shown.expect("the pool has a free slot"), "x");
}

/// Polls once.
async fn polled_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut future).poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Whether it is `Send` is checked without knowledge of the implementation.
async fn spawned<W: Promising<Given = u64> + Send + Sync + 'static>(
    worker: W,
    token: CancellationToken,
) -> Result<u64, TaskError> {
    tokio::spawn(async move { worker.promised(token, 1).await }).await.expect("it ends in time")
}

#[tokio::test]
async fn traits_are_implemented_for_each_kind_of_return_type() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    assert_eq!(Worker("").plain(token.clone(), 2).await?, 2);
    assert_eq!(Worker(()).provided(token.clone()).await?, 1);
    assert_eq!(spawned(Worker(2_u32), token.clone()).await?, 3);
    token.cancel();
    assert!(Worker(()).provided(token).await.is_err());
    Ok(())
}

#[tokio::test]
async fn functions_that_call_each_other_end() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    assert!(compositions::even(&token, 10).await?);
    assert!(!compositions::odd(token, 10).await?);
    Ok(())
}

#[tokio::test]
async fn attributes_are_allowed_on_parameters() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    assert_eq!(compositions::on_parameters(&token, 1, 2).await?, 1);
    assert_eq!(compositions::expected(&token, 1, 2, &String::new()).await?, 3);
    Ok(())
}

#[tokio::test]
async fn functions_are_made_of_fragments_of_each_kind() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    assert_eq!(compositions::made_inside(&token, ('a', 1)).await?, "a false");
    assert_eq!(compositions::made_outside(&token, 2).await?, 1);
    assert_eq!(compositions::made_under(&token).await?, 7);
    assert_eq!(compositions::made_by_tokens(&token, "text").await?, "of the caller's");
    Ok(())
}
