//! How a result is classified: as cancelled or as an error.

use std::{error::Error, fmt, io};

use tokio_supervised::{CancellationToken, Cause, Outcome, TaskError, supervised};

use testkit::{outcomes_of, poll_once};

/// Fires its own token, then returns the error of an inner cancelled call.
macro_rules! returns_the_cancellation {
    ($test:ident, $name:literal, $error:ty) => {
        #[tokio::test]
        async fn $test() {
            #[supervised(name = $name)]
            async fn outer(token: &CancellationToken) -> Result<(), $error> {
                token.cancel();
                inner(token).await?;
                Ok(())
            }

            outer(&CancellationToken::new()).await.unwrap_err();
            assert_eq!(outcomes_of($name), [(Outcome::Cancelled, 1)]);
        }
    };
}

#[supervised(name = "outcome: inner")]
async fn inner() -> Result<(), TaskError> {
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum Transparent {
    #[error(transparent)]
    Task(#[from] TaskError),
}

#[derive(Debug, thiserror::Error)]
enum Wrapping {
    #[error("the task went wrong")]
    Task(#[from] TaskError),
}

returns_the_cancellation!(carried_by_the_task_error, "outcome: itself", TaskError);
returns_the_cancellation!(carried_by_anyhow, "outcome: anyhow", anyhow::Error);
returns_the_cancellation!(carried_by_io, "outcome: io", io::Error);
returns_the_cancellation!(carried_by_a_box, "outcome: box", Box<dyn Error + Send + Sync>);
returns_the_cancellation!(carried_by_an_unshared_box, "outcome: box dyn", Box<dyn Error>);
returns_the_cancellation!(carried_by_a_transparent_enum, "outcome: transparent", Transparent);
returns_the_cancellation!(carried_by_a_wrapping_enum, "outcome: wrapping", Wrapping);

#[tokio::test]
async fn carried_through_layers_of_context() {
    #[supervised(name = "outcome: context")]
    async fn outer(token: &CancellationToken) -> anyhow::Result<()> {
        token.cancel();
        let result = inner(token).await.map_err(io::Error::from);
        anyhow::Context::context(anyhow::Context::context(result, "one"), "two")
    }

    outer(&CancellationToken::new()).await.unwrap_err();
    assert_eq!(outcomes_of("outcome: context"), [(Outcome::Cancelled, 1)]);
}

#[tokio::test]
async fn a_user_error_during_a_shutdown_stays_an_error() {
    #[supervised(name = "outcome: own error")]
    async fn fails(token: &CancellationToken) -> anyhow::Result<()> {
        token.cancel();
        anyhow::bail!("the disk is full")
    }

    fails(&CancellationToken::new()).await.unwrap_err();
    assert_eq!(outcomes_of("outcome: own error"), [(Outcome::Error, 1)]);
}

#[tokio::test]
async fn a_cancellation_by_another_token_stays_an_error() {
    struct Other(CancellationToken);

    #[supervised(name = "outcome: someone else's")]
    async fn calls(other: &Other) -> Result<(), TaskError> {
        other.0.cancel();
        inner(&other.0).await
    }

    let (own, other) = (CancellationToken::new(), Other(CancellationToken::new()));
    assert!(matches!(calls(&own, &other).await, Err(TaskError::Cancelled(_))));
    assert_eq!(outcomes_of("outcome: someone else's"), [(Outcome::Error, 1)]);
}

#[tokio::test]
async fn an_error_without_the_error_trait_counts_as_one() {
    struct Plain;
    impl From<TaskError> for Plain {
        fn from(_: TaskError) -> Self {
            Self
        }
    }

    #[supervised(name = "outcome: plain")]
    async fn fails(token: &CancellationToken) -> Result<(), Plain> {
        token.cancel();
        inner(token).await?;
        Ok(())
    }

    assert!(fails(&CancellationToken::new()).await.is_err());
    assert_eq!(outcomes_of("outcome: plain"), [(Outcome::Error, 1)]);
}

#[tokio::test]
async fn a_cycle_of_sources_is_not_followed_for_ever() {
    #[derive(Debug)]
    struct Ring;
    impl fmt::Display for Ring {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("ring")
        }
    }
    impl Error for Ring {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }
    impl From<TaskError> for Ring {
        fn from(_: TaskError) -> Self {
            Self
        }
    }

    #[supervised(name = "outcome: ring")]
    async fn fails() -> Result<(), Ring> {
        Err(Ring)
    }

    fails(&CancellationToken::new()).await.unwrap_err();
    assert_eq!(outcomes_of("outcome: ring"), [(Outcome::Error, 1)]);
}

#[tokio::test]
async fn nested_functions_propagate_errors_with_the_question_mark() {
    #[supervised(name = "outcome: leaf")]
    async fn leaf(n: u32) -> Result<u32, TaskError> {
        assert!(n < 3, "three is too many");
        Ok(n)
    }
    #[supervised(name = "outcome: middle")]
    async fn middle(token: &CancellationToken, n: u32) -> io::Result<u32> {
        Ok(leaf(token, n).await? + leaf(token, n + 1).await?)
    }
    #[supervised(name = "outcome: top")]
    async fn top(token: &CancellationToken, n: u32) -> anyhow::Result<u32> {
        Ok(middle(token, n).await?)
    }

    let token = CancellationToken::new();
    assert_eq!(top(&token, 1).await.unwrap(), 3);
    let error = top(&token, 2).await.unwrap_err();
    assert!(error.to_string().ends_with("three is too many"), "{error}");
    assert_eq!(outcomes_of("outcome: leaf"), [(Outcome::Ok, 3), (Outcome::Panicked, 1)]);
    assert_eq!(outcomes_of("outcome: middle"), [(Outcome::Ok, 1), (Outcome::Error, 1)]);
    assert_eq!(outcomes_of("outcome: top"), [(Outcome::Ok, 1), (Outcome::Error, 1)]);
}

#[tokio::test]
async fn the_cause_of_a_plain_token_is_the_token() {
    let token = CancellationToken::new();
    token.cancel();
    let Err(TaskError::Cancelled(cancelled)) = inner(&token).await else { panic!("cancelled") };
    assert_eq!(cancelled.cause(), Cause::Token);
    assert_eq!(cancelled.to_string(), "task `outcome: inner` was cancelled: its token fired");
}

#[tokio::test]
async fn a_call_in_a_body_that_the_token_drops_is_cancelled_too() {
    #[supervised(name = "outcome: inside")]
    async fn inside() -> Result<(), TaskError> {
        std::future::pending().await
    }

    #[supervised(name = "outcome: around", on_cancel = "drop")]
    async fn around(token: &CancellationToken) -> Result<(), TaskError> {
        inside(token).await
    }

    let token = CancellationToken::new();
    let mut run = Box::pin(around(&token));
    assert!(poll_once(run.as_mut()).is_pending());
    token.cancel();
    assert!(poll_once(run.as_mut()).is_ready());
    assert_eq!(outcomes_of("outcome: around"), [(Outcome::Cancelled, 1)]);
    assert_eq!(outcomes_of("outcome: inside"), [(Outcome::Cancelled, 1)]);
}
