//! A body that fires its token cancels none of its siblings; a scope cancels every run in it.

#![allow(clippy::redundant_closure, reason = "each form of a spawn is written as in user code")]

mod another_token;
mod pool_token;
mod states;

use std::{
    future::pending,
    panic::Location,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    task::{LocalSet, yield_now},
    time::{Instant, timeout},
};
use tokio_supervised::{
    CancellationToken, Group, Outcome, Pool, TaskError, TaskState, map, shield, supervised, task,
    tasks,
};

use testkit::watchdog::WATCHDOG;

/// Fails instead of hanging.
#[track_caller]
fn in_time<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let place = Location::caller();
    async move {
        let ended = timeout(WATCHDOG, future).await;
        ended.unwrap_or_else(|_| panic!("hangs at {place}"))
    }
}

/// Waits until other tasks of the thread have made the condition true. A paused clock does not advance meanwhile.
#[track_caller]
fn until(holds: impl Fn() -> bool) -> impl Future<Output = ()> {
    let place = Location::caller();
    async move {
        let started = std::time::Instant::now();
        while !holds() {
            assert!(started.elapsed() < WATCHDOG, "hangs at {place}");
            yield_now().await;
        }
    }
}

/// The state that the bodies of one scope share.
struct Scene {
    /// One permit for each body that has fired its token.
    fired: Semaphore,
    /// Closed once the bodies may return.
    released: Semaphore,
    waiting: AtomicUsize,
    cancelled: AtomicUsize,
    finished: AtomicUsize,
}

impl Scene {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            fired: Semaphore::new(0),
            released: Semaphore::new(0),
            waiting: AtomicUsize::new(0),
            cancelled: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
        })
    }

    async fn is_released(&self) {
        _ = self.released.acquire().await;
    }

    /// Fires a token like a drop guard for a body's helpers.
    fn fire(&self, token: CancellationToken) {
        drop(token.drop_guard());
        self.fired.add_permits(1);
    }

    async fn one_has_fired(&self) {
        in_time(self.fired.acquire()).await.unwrap().forget();
        // Lets a cancelled sibling run.
        for _ in 0..10 {
            yield_now().await;
        }
        assert_eq!(self.cancelled.load(SeqCst), 0, "a sibling was cancelled");
    }
}

/// Counts a run that does not complete.
struct Ends(Arc<Scene>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.cancelled.fetch_add(1, SeqCst);
    }
}

impl Ends {
    fn well(self) {
        self.0.finished.fetch_add(1, SeqCst);
        self.0.cancelled.fetch_sub(1, SeqCst);
    }
}

/// A sibling without a token.
#[supervised(name = "tokens: sibling")]
async fn sibling(scene: Arc<Scene>) -> Result<(), TaskError> {
    let ends = Ends(scene.clone());
    scene.waiting.fetch_add(1, SeqCst);
    scene.is_released().await;
    ends.well();
    Ok(())
}

/// A sibling that waits for its token.
#[supervised(name = "tokens: listening sibling")]
async fn listening(token: CancellationToken, scene: Arc<Scene>) -> Result<(), TaskError> {
    let ends = Ends(scene.clone());
    scene.waiting.fetch_add(1, SeqCst);
    if token.run_until_cancelled(scene.is_released()).await.is_some() {
        ends.well();
    }
    Ok(())
}

/// One sibling that exists from the start, and one that is spawned later.
#[supervised(name = "tokens: later")]
async fn later(scene: Arc<Scene>) -> Result<(), TaskError> {
    scene.finished.fetch_add(1, SeqCst);
    Ok(())
}

#[supervised(name = "tokens: owned")]
async fn owned(token: CancellationToken, scene: Arc<Scene>) -> Result<(), TaskError> {
    scene.fire(token);
    scene.is_released().await;
    Ok(())
}

#[supervised(name = "tokens: borrowed")]
async fn borrowed(token: &CancellationToken, scene: Arc<Scene>) -> Result<(), TaskError> {
    yield_now().await;
    scene.fire(token.clone());
    scene.is_released().await;
    Ok(())
}

#[supervised(name = "tokens: mutable")]
async fn mutable(mut token: CancellationToken, scene: Arc<Scene>) -> Result<(), TaskError> {
    scene.fire(token);
    token = CancellationToken::new();
    token.run_until_cancelled(scene.is_released()).await;
    Ok(())
}

type Stop = CancellationToken;

#[supervised(name = "tokens: renamed", token = stop)]
async fn renamed(stop: Stop, scene: Arc<Scene>) -> Result<(), TaskError> {
    scene.fire(stop);
    scene.is_released().await;
    Ok(())
}

#[supervised(name = "tokens: limited", limit = 2, timeout = "1h", grace = "1h")]
async fn limited(token: &CancellationToken, scene: Arc<Scene>) -> Result<(), TaskError> {
    scene.fire(token.clone());
    scene.is_released().await;
    Ok(())
}

#[supervised(name = "tokens: restarting", restart = "on-failure", backoff = "1ms..1ms")]
async fn restarting(token: CancellationToken, scene: Arc<Scene>) -> Result<(), TaskError> {
    scene.fire(token);
    scene.is_released().await;
    Ok(())
}

#[supervised(name = "tokens: fires through a call")]
async fn calls(token: &CancellationToken, scene: Arc<Scene>) -> Result<(), TaskError> {
    _ = borrowed(token, scene.clone()).await;
    assert!(token.is_cancelled(), "an awaited call uses the token that it was given");
    scene.is_released().await;
    Ok(())
}

struct Worker(Arc<Scene>);

trait Work {
    fn work(
        self: Arc<Self>,
        token: CancellationToken,
    ) -> impl Future<Output = Result<(), TaskError>> + Send;
}

impl Work for Worker {
    #[supervised(name = "tokens: method of a trait")]
    async fn work(self: Arc<Self>, token: CancellationToken) -> Result<(), TaskError> {
        self.0.fire(token);
        self.0.is_released().await;
        Ok(())
    }
}

impl Worker {
    #[supervised(name = "tokens: method")]
    async fn method(self: Arc<Self>, token: &CancellationToken) -> Result<(), TaskError> {
        self.0.fire(token.clone());
        self.0.is_released().await;
        Ok(())
    }

    #[supervised(name = "tokens: restarting method", restart = "on-failure")]
    async fn restarting(self: Arc<Self>, token: &CancellationToken) -> Result<(), TaskError> {
        self.0.fire(token.clone());
        self.0.is_released().await;
        Ok(())
    }
}

/// Spawns a body of each form with a token, and waits until it has fired it.
macro_rules! each_form_fires {
    ($scene:ident, $spawn:ident) => {{
        let scene = || $scene.clone();
        let worker = || Arc::new(Worker($scene.clone()));
        $spawn!(|token| owned(token, scene()));
        $spawn!(|token| borrowed(token, scene()));
        $spawn!(|token| mutable(token, scene()));
        $spawn!(|token| renamed(token, scene()));
        $spawn!(|token| limited(token, scene()));
        $spawn!(|token| restarting(token, scene()));
        $spawn!(|token| calls(token, scene()));
        $spawn!(|token| worker().method(token));
        $spawn!(|token| worker().restarting(token));
        $spawn!(|token| Work::work(worker(), token));
        $spawn!(|token| owned(token, scene()).err_into::<TaskError>());
        let of_a_task = scene();
        $spawn!(task!("tokens: expression", |token| async move {
            of_a_task.fire(token);
            of_a_task.is_released().await;
            Ok::<_, TaskError>(())
        }));
        let of_a_task = scene();
        $spawn!(task!("tokens: typed", |token| -> Result<(), TaskError> {
            of_a_task.fire(token);
            of_a_task.is_released().await;
            Ok(())
        }));
        let of_a_task = scene();
        $spawn!(task!("tokens: around a call", |token| owned(token, of_a_task)));
    }};
}

#[tokio::test]
async fn a_body_that_fires_its_token_cancels_no_sibling_in_a_pool() {
    let (pool, scene) = (Pool::new(64), Scene::new());
    pool.spawn(|token| sibling(token, scene.clone())).await.unwrap();
    pool.spawn(|token| listening(token, scene.clone())).await.unwrap();
    until(|| scene.waiting.load(SeqCst) == 2).await;
    macro_rules! spawn {
        ($task:expr) => {
            pool.spawn($task).await.unwrap();
            scene.one_has_fired().await;
        };
    }
    each_form_fires!(scene, spawn);
    let fires = scene.clone();
    let blocking = pool.spawn_blocking("tokens: blocking", move |token| {
        fires.fire(token);
        Ok::<_, TaskError>(())
    });
    blocking.await.unwrap();
    scene.one_has_fired().await;
    pool.try_spawn(|token| owned(token, scene.clone())).unwrap();
    scene.one_has_fired().await;
    pool.reserve().await.unwrap().spawn(|token| owned(token, scene.clone()));
    scene.one_has_fired().await;

    pool.spawn(|token| later(token, scene.clone())).await.unwrap();
    until(|| scene.finished.load(SeqCst) == 1).await;
    scene.released.close();
    in_time(pool.drain(Duration::from_secs(40))).await.unwrap();
    assert_eq!((scene.cancelled.load(SeqCst), scene.finished.load(SeqCst)), (0, 3));
}

#[tokio::test]
async fn a_body_that_fires_its_token_cancels_no_sibling_in_a_group() {
    let (group, scene) = (Group::new(&CancellationToken::new()), Scene::new());
    group.spawn(|token| sibling(token, scene.clone())).await;
    group.spawn(|token| listening(token, scene.clone())).await;
    until(|| scene.waiting.load(SeqCst) == 2).await;
    macro_rules! spawn {
        ($task:expr) => {
            group.spawn($task).await;
            scene.one_has_fired().await;
        };
    }
    each_form_fires!(scene, spawn);
    let fires = scene.clone();
    let blocking = group.spawn_blocking("tokens: blocking, in a group", move |token| {
        fires.fire(token);
        Ok::<_, TaskError>(())
    });
    blocking.await;
    scene.one_has_fired().await;

    group.spawn(|token| later(token, scene.clone())).await;
    until(|| scene.finished.load(SeqCst) == 1).await;
    scene.released.close();
    in_time(group.join()).await.unwrap();
    assert_eq!((scene.cancelled.load(SeqCst), scene.finished.load(SeqCst)), (0, 3));
}

#[tokio::test]
async fn a_body_that_fires_its_token_cancels_no_local_sibling() {
    let local = LocalSet::new();
    local
        .run_until(async {
            let (group, scene) = (Group::new(&CancellationToken::new()), Scene::new());
            let pool = Pool::new(64);
            group.spawn_local(|token| sibling(token, scene.clone())).await;
            pool.spawn_local(|token| listening(token, scene.clone())).await.unwrap();
            until(|| scene.waiting.load(SeqCst) == 2).await;
            macro_rules! spawn {
                ($task:expr) => {
                    group.spawn_local($task).await;
                    scene.one_has_fired().await;
                };
            }
            each_form_fires!(scene, spawn);
            macro_rules! spawn {
                ($task:expr) => {
                    pool.spawn_local($task).await.unwrap();
                    scene.one_has_fired().await;
                };
            }
            each_form_fires!(scene, spawn);
            scene.released.close();
            in_time(group.join()).await.unwrap();
            in_time(pool.drain(Duration::from_secs(40))).await.unwrap();
            assert_eq!((scene.cancelled.load(SeqCst), scene.finished.load(SeqCst)), (0, 2));
        })
        .await;
}

#[tokio::test]
async fn a_service_that_fires_its_token_stops_no_other_service() {
    let (group, scene) = (Group::new(&CancellationToken::new()).until_first_exit(), Scene::new());
    group.spawn(|token| listening(token, scene.clone())).await;
    until(|| scene.waiting.load(SeqCst) == 1).await;
    macro_rules! spawn {
        ($task:expr) => {
            group.spawn($task).await;
            scene.one_has_fired().await;
        };
    }
    each_form_fires!(scene, spawn);
    scene.released.close();
    in_time(group.join()).await.unwrap();
    assert_eq!(scene.cancelled.load(SeqCst), 0);
}

/// The tokens of the items that have ended.
#[derive(Clone, Default)]
struct Before(Arc<Mutex<Vec<CancellationToken>>>);

impl Before {
    /// Fires those, and returns whether that has fired the token of this item.
    async fn fire(&self, token: CancellationToken) -> Result<bool, TaskError> {
        let before = std::mem::take(&mut *self.0.lock().unwrap());
        before.iter().for_each(CancellationToken::cancel);
        yield_now().await;
        let is_cancelled = token.is_cancelled();
        self.0.lock().unwrap().push(token);
        Ok(is_cancelled)
    }
}

#[tokio::test]
async fn an_item_that_fires_its_token_cancels_no_other_item() {
    #[supervised(name = "tokens: item")]
    async fn owned(token: CancellationToken, _: u32, before: Before) -> Result<bool, TaskError> {
        before.fire(token).await
    }
    #[supervised(name = "tokens: item, borrowed")]
    async fn borrowed(
        token: &CancellationToken,
        _: u32,
        before: Before,
    ) -> Result<bool, TaskError> {
        before.fire(token.clone()).await
    }
    #[supervised(name = "tokens: item, restarting", restart = "on-failure")]
    async fn restarting(
        token: &CancellationToken,
        _: u32,
        before: Before,
    ) -> Result<bool, TaskError> {
        before.fire(token.clone()).await
    }

    let root = CancellationToken::new();
    for limit in [1, 2, 8] {
        let before = Before::default();
        macro_rules! none_is_cancelled {
            ($f:expr) => {
                let ends = in_time(map(&root, 0..20, $f).limit(limit).settled()).await;
                for end in ends {
                    assert!(!end.unwrap(), "{} cancels another", stringify!($f));
                }
            };
        }
        let given = before.clone();
        none_is_cancelled!(move |token, n| owned(token, n, given.clone()));
        let given = before.clone();
        none_is_cancelled!(move |token, n| borrowed(token, n, given.clone()));
        let given = before.clone();
        none_is_cancelled!(move |token, n| restarting(token, n, given.clone()));
        let given = before.clone();
        none_is_cancelled!(task!("tokens: item, expression", |token, _: u32| {
            let before = given.clone();
            async move { before.fire(token).await }
        }));
    }
}

#[tokio::test]
async fn an_awaited_call_uses_the_token_that_was_passed() {
    let scene = Scene::new();
    scene.released.close();
    macro_rules! fires_its_token {
        ($call:expr) => {
            let given = CancellationToken::new();
            let call = $call;
            _ = in_time(call(&given)).await;
            assert!(given.is_cancelled(), "{}", stringify!($call));
        };
    }
    fires_its_token!(|token: &CancellationToken| owned(token.clone(), scene.clone()));
    fires_its_token!(|token: &CancellationToken| borrowed(token.clone(), scene.clone()));
    fires_its_token!(|token: &CancellationToken| restarting(token.clone(), scene.clone()));
    fires_its_token!(|token: &CancellationToken| {
        owned(token.clone(), scene.clone()).err_into::<TaskError>()
    });
    let given = CancellationToken::new();
    in_time(borrowed(&given, scene.clone())).await.unwrap();
    assert!(given.is_cancelled());
    let of_a_task = scene.clone();
    fires_its_token!(|token: &CancellationToken| {
        let expression = task!("tokens: awaited expression", |token| async move {
            of_a_task.fire(token);
            Ok::<_, TaskError>(())
        });
        expression(token.clone())
    });
    let of_a_task = scene.clone();
    fires_its_token!(|token: &CancellationToken| {
        let typed = task!("tokens: awaited body", |token| -> Result<(), TaskError> {
            of_a_task.fire(token);
            Ok(())
        });
        typed(token.clone())
    });
}

#[tokio::test]
async fn a_call_in_a_task_uses_the_token_that_was_passed() {
    #[supervised(name = "tokens: outer")]
    async fn outer(token: CancellationToken, scene: Arc<Scene>) -> Result<bool, TaskError> {
        let of_the_call = token.child_token();
        owned(of_the_call.clone(), scene.clone()).await?;
        let of_a_section = CancellationToken::new();
        shield(Duration::from_secs(1), |_| owned(of_a_section.clone(), scene)).await?;
        Ok(of_the_call.is_cancelled() && of_a_section.is_cancelled() && !token.is_cancelled())
    }

    let (group, scene) = (Group::new(&CancellationToken::new()), Scene::new());
    scene.released.close();
    group.spawn(|token| outer(token, scene)).await;
    assert_eq!(in_time(group.join()).await.unwrap(), [true]);
}

#[tokio::test]
async fn a_call_that_was_made_elsewhere_gets_a_child_of_its_token() {
    let (group, scene) = (Group::new(&CancellationToken::new()), Scene::new());
    let elsewhere = CancellationToken::new();
    let call = owned(elsewhere.clone(), scene.clone());
    group.spawn(|_| call).await;
    scene.one_has_fired().await;
    scene.released.close();
    in_time(group.join()).await.unwrap();
    assert!(!elsewhere.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_own_token_fired_is_dropped_after_its_grace() {
    #[supervised(name = "tokens: within its grace", grace = "3s", allow(detached_spawn))]
    async fn deaf(token: CancellationToken) -> Result<(), TaskError> {
        let helper = token.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            helper.cancel();
        });
        drop(token);
        pending().await
    }

    let (group, started) = (Group::new(&CancellationToken::new()), Instant::now());
    group.spawn(|token| deaf(token)).await;
    let error: TaskError = in_time(group.join()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Cancelled);
    assert_eq!(started.elapsed(), Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_restarting_call_ends_with_the_run_that_fires_its_token() {
    #[supervised(name = "tokens: last run", restart = "on-failure", backoff = "1ms..1ms")]
    async fn work(token: CancellationToken, runs: Arc<AtomicUsize>) -> Result<(), anyhow::Error> {
        if runs.fetch_add(1, SeqCst) == 2 {
            token.cancel();
        }
        Err(anyhow::anyhow!("it fails"))
    }

    let (group, runs) = (Group::new(&CancellationToken::new()), Arc::new(AtomicUsize::new(0)));
    group.spawn(|token| work(token, runs.clone())).await;
    in_time(group.join()).await.unwrap_err();
    assert_eq!(runs.load(SeqCst), 3);
}
