//! The closure of a spawn ignored the token of its scope.

use super::*;

#[supervised(name = "tokens: deaf")]
async fn deaf() -> Result<(), TaskError> {
    pending().await
}

#[supervised(name = "tokens: cooperates", grace = "none")]
async fn cooperates(token: &CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    Ok(())
}

#[supervised(name = "tokens: cooperates, owned", grace = "none")]
async fn cooperates_owned(token: CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    Ok(())
}

#[supervised(name = "tokens: ignores", grace = "5s", allow(unused_token))]
async fn ignores(_token: &CancellationToken) -> Result<(), TaskError> {
    pending().await
}

#[supervised(name = "tokens: restarts", restart = "always", backoff = "1h..1h")]
async fn restarts(runs: Arc<AtomicUsize>) -> Result<(), TaskError> {
    runs.fetch_add(1, SeqCst);
    Ok(())
}

#[supervised(name = "tokens: one at a time", limit = 1)]
async fn one_at_a_time() -> Result<(), TaskError> {
    pending().await
}

#[tokio::test(start_paused = true)]
async fn a_group_cancels_runs_with_another_token() {
    let (token, other) = (CancellationToken::new(), CancellationToken::new());
    let group: Group<(), TaskError> = Group::new(&token);
    let runs = Arc::new(AtomicUsize::new(0));
    let given = || other.clone();
    let for_ever: &'static CancellationToken = Box::leak(Box::new(other.clone()));
    group.spawn(|_| deaf(given())).await;
    group.spawn(|_| deaf(for_ever)).await;
    group.spawn(|_| cooperates(given())).await;
    group.spawn(|_| cooperates(for_ever)).await;
    group.spawn(|_| cooperates_owned(given())).await;
    group.spawn(|_| restarts(given(), runs.clone())).await;
    group.spawn(|_| deaf(given()).err_into()).await;
    let expression = task!("tokens: cooperates, expression", grace = "none", |token| async move {
        token.cancelled().await;
        Ok(())
    });
    group.spawn(|_| expression(given())).await;
    until(|| runs.load(SeqCst) == 1).await;
    for _ in 0..10 {
        yield_now().await;
    }
    let started = Instant::now();
    token.cancel();
    in_time(group.join()).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::ZERO, "no task waits for its grace");
    assert!(!other.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_does_not_end_is_dropped_after_its_grace() {
    let (token, other) = (CancellationToken::new(), CancellationToken::new());
    let group: Group<(), TaskError> = Group::new(&token);
    group.spawn(|_| ignores(other.clone())).await;
    yield_now().await;
    let started = Instant::now();
    token.cancel();
    in_time(group.join()).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_was_cancelled_starts_no_run_with_another_token() {
    let (token, other) = (CancellationToken::new(), CancellationToken::new());
    let (group, runs) = (Group::new(&token), Arc::new(AtomicUsize::new(0)));
    group.spawn(|_| restarts(other.clone(), runs.clone())).await;
    token.cancel();
    in_time(group.join()).await.unwrap_err();
    assert_eq!(runs.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_with_another_token_that_waits_for_its_permit_ends() {
    let (pool, other) = (Pool::new(8), CancellationToken::new());
    let slots = [pool.reserve().await.unwrap(), pool.reserve().await.unwrap()];
    for slot in slots {
        slot.spawn(|_| one_at_a_time(other.clone()));
    }
    until(|| tasks().iter().any(|task| is_waiting(task.state, task.name))).await;
    let started = Instant::now();
    in_time(pool.drain(Duration::from_secs(4))).await.ok();
    assert!(started.elapsed() < Duration::from_secs(4), "the drain had to abort a run");
}

fn is_waiting(state: TaskState, name: &str) -> bool {
    state == TaskState::Waiting && name == "tokens: one at a time"
}

#[tokio::test(start_paused = true)]
async fn a_pool_cancels_runs_with_another_token() {
    let (pool, other) = (Pool::new(8), CancellationToken::new());
    pool.spawn(|_| deaf(other.clone())).await.unwrap();
    pool.spawn(|_| cooperates(other.clone())).await.unwrap();
    pool.spawn(|_| cooperates_owned(other.clone())).await.unwrap();
    for _ in 0..10 {
        yield_now().await;
    }
    let started = Instant::now();
    in_time(pool.drain(Duration::from_secs(4))).await.ok();
    assert!(started.elapsed() < Duration::from_secs(4), "the drain had to abort a run");
    assert!(!other.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_map_cancels_items_with_another_token() {
    let (token, other) = (CancellationToken::new(), CancellationToken::new());
    let cancels = token.clone();
    let given = other.clone();
    let items = map(&token, 0..4, move |_, _| cooperates(given.clone())).limit(4);
    let cancel = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cancels.cancel();
    };
    let started = Instant::now();
    _ = in_time(async { tokio::join!(items, cancel) }).await;
    assert_eq!(started.elapsed(), Duration::from_secs(1));
    assert!(!other.is_cancelled());
}
