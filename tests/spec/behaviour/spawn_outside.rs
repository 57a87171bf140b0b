//! A spawn that is polled outside of a runtime.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio::sync::Notify;
use tokio_supervised::{CancellationToken, Group, TaskError, supervised};

use testkit::{in_time, poll_once, runtime, turn};

#[test]
fn a_spawn_granted_outside_a_runtime_does_not_delay_the_join() {
    #[supervised(name = "spawn outside: gate")]
    async fn gate(go: Arc<Notify>) -> Result<u32, TaskError> {
        go.notified().await;
        Ok(1)
    }

    let (runtime, go) = (runtime(), Arc::new(Notify::new()));
    let group = Group::new(&CancellationToken::new()).limit(1);
    runtime.block_on(group.spawn(|token| gate(token, go.clone())));
    let mut waiting = Box::pin(group.spawn(|token| gate(token, go.clone())));
    assert!(poll_once(waiting.as_mut()).is_pending());
    go.notify_one();
    runtime.block_on(async {
        for _ in 0..3 {
            turn().await;
        }
    });
    catch_unwind(AssertUnwindSafe(|| poll_once(waiting.as_mut())))
        .expect_err("there is no runtime");
    drop(waiting);
    // The task was dropped before it was spawned, and is reported as such.
    let error = runtime.block_on(in_time(group.join())).unwrap_err();
    assert!(matches!(error, TaskError::Cancelled(_)), "{error}");
}
