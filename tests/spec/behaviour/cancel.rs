//! Cancellation by the token: its effects and their time.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
};

use tokio_supervised::{CancellationToken, Cause, Outcome, TaskError, supervised};

use testkit::{Alive, in_time, outcomes_of, poll_once, turn};

#[tokio::test]
async fn a_body_without_the_token_is_dropped_at_its_next_await() {
    #[supervised(name = "cancel: drop")]
    async fn wait(alive: Alive) -> Result<(), TaskError> {
        let _alive = alive;
        pending().await
    }

    let (token, count) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let run = tokio::spawn(wait(token.clone(), Alive::new(&count)));
    turn().await;
    token.cancel();
    let TaskError::Cancelled(cancelled) = in_time(run).await.unwrap().unwrap_err() else {
        panic!("cancelled")
    };
    assert_eq!((cancelled.task(), cancelled.cause()), ("cancel: drop", Cause::Token));
    assert_eq!(count.load(SeqCst), 0);
    assert_eq!(outcomes_of("cancel: drop"), [(Outcome::Cancelled, 1)]);
}

#[tokio::test]
async fn a_body_with_the_token_ends_by_itself() {
    #[supervised(name = "cancel: cooperate")]
    async fn finish(token: &CancellationToken) -> Result<&'static str, TaskError> {
        token.cancelled().await;
        turn().await;
        Ok("finished")
    }

    let token = CancellationToken::new();
    let run = tokio::spawn(finish(token.clone()));
    turn().await;
    token.cancel();
    assert_eq!(in_time(run).await.unwrap().unwrap(), "finished");
    assert_eq!(outcomes_of("cancel: cooperate"), [(Outcome::Ok, 1)]);
}

#[tokio::test]
async fn a_body_with_the_token_is_dropped_if_it_asks_for_that() {
    #[supervised(on_cancel = "drop", name = "cancel: drop with token")]
    async fn wait(token: CancellationToken) -> Result<(), TaskError> {
        let _token = token;
        pending().await
    }

    let token = CancellationToken::new();
    let run = tokio::spawn(wait(token.clone()));
    turn().await;
    token.cancel();
    assert!(matches!(in_time(run).await.unwrap(), Err(TaskError::Cancelled(_))));
}

#[tokio::test]
async fn a_token_that_has_fired_starts_nothing() {
    static STARTED: AtomicBool = AtomicBool::new(false);

    #[supervised(name = "cancel: fired", limit = 1)]
    async fn start() -> Result<(), TaskError> {
        STARTED.store(true, SeqCst);
        Ok(())
    }

    let token = CancellationToken::new();
    token.cancel();
    assert!(matches!(start(&token).await, Err(TaskError::Cancelled(_))));
    assert!(!STARTED.load(SeqCst));
    assert_eq!(outcomes_of("cancel: fired"), [(Outcome::Cancelled, 1)]);
}

#[tokio::test]
async fn a_call_with_a_fired_token_is_pending_once_and_wakes_itself() {
    #[supervised(name = "cancel: pending once")]
    async fn start() {}

    let token = CancellationToken::new();
    token.cancel();
    let mut call = Box::pin(start(&token));
    let woken = Arc::new(Woken::default());
    let waker = woken.clone().into();
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(call.as_mut().poll(&mut cx).is_pending());
    assert!(woken.0.load(SeqCst));
    assert!(call.as_mut().poll(&mut cx).is_ready());
}

#[derive(Default)]
struct Woken(AtomicBool);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

#[tokio::test]
async fn a_hot_loop_of_cancelled_calls_can_be_aborted() {
    #[supervised(name = "cancel: hot loop")]
    async fn call() {}

    let token = CancellationToken::new();
    token.cancel();
    let hot = tokio::spawn(async move {
        loop {
            call(&token).await;
        }
    });
    turn().await;
    hot.abort();
    assert!(in_time(hot).await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_hot_loop_of_runs_that_are_ready_at_once_can_be_aborted() {
    #[supervised(name = "cancel: ready loop")]
    async fn call() {}

    let token = CancellationToken::new();
    let hot = tokio::spawn(async move {
        loop {
            call(&token).await;
        }
    });
    turn().await;
    hot.abort();
    assert!(in_time(hot).await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_pending_body_does_not_get_its_budget_back() {
    use tokio::task::coop::has_budget_remaining;

    #[supervised(name = "cancel: budget")]
    async fn spend() -> Result<(), TaskError> {
        while has_budget_remaining() {
            tokio::task::consume_budget().await;
        }
        pending().await
    }

    let token = CancellationToken::new();
    let left = tokio::spawn(async move {
        assert!(poll_once(spend(&token)).is_pending());
        has_budget_remaining()
    });
    assert!(!in_time(left).await.unwrap());
}

#[tokio::test]
async fn every_poll_checks_the_token_before_the_body() {
    static POLLS: AtomicUsize = AtomicUsize::new(0);

    #[supervised(name = "cancel: token first")]
    async fn count() -> Result<(), TaskError> {
        std::future::poll_fn(|_| {
            POLLS.fetch_add(1, SeqCst);
            Poll::Pending
        })
        .await
    }

    let token = CancellationToken::new();
    let mut run = Box::pin(count(&token));
    assert!(poll_once(run.as_mut()).is_pending());
    token.cancel();
    assert!(poll_once(run.as_mut()).is_ready());
    assert_eq!(POLLS.load(SeqCst), 1);
}

#[tokio::test]
async fn a_token_fired_by_the_body_ends_the_run_in_the_same_poll() {
    struct Elsewhere(CancellationToken);

    #[supervised(name = "cancel: inside")]
    async fn fire(elsewhere: Elsewhere) -> Result<(), TaskError> {
        elsewhere.0.cancel();
        pending().await
    }

    let token = CancellationToken::new();
    let call = fire(&token, Elsewhere(token.clone()));
    assert!(matches!(poll_once(call), Poll::Ready(Err(TaskError::Cancelled(_)))));
}

#[tokio::test]
async fn a_token_is_lent_reborrowed_or_moved() {
    #[supervised(name = "cancel: forms")]
    async fn run() -> Result<u32, TaskError> {
        Ok(1)
    }

    let token = CancellationToken::new();
    let lent: &CancellationToken = &token;
    assert_eq!(run(lent).await.unwrap(), 1);
    assert_eq!(run(&lent).await.unwrap(), 1);
    assert_eq!(run(token.child_token()).await.unwrap(), 1);
    assert_eq!(run(token).await.unwrap(), 1);
}

#[test]
fn without_a_runtime_a_body_with_the_token_needs_no_grace() {
    #[supervised(name = "cancel: no runtime")]
    async fn finish(token: &CancellationToken) -> Result<&'static str, TaskError> {
        token.cancelled().await;
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Ready(())
        })
        .await;
        Ok("finished")
    }

    let token = CancellationToken::new();
    let mut run = Box::pin(finish(&token));
    assert!(poll_once(run.as_mut()).is_pending());
    token.cancel();
    assert!(matches!(poll_once(run.as_mut()), Poll::Ready(Ok("finished"))));
}
