//! A body that fires its token cancels none of its siblings; a scope cancels every run in it.

#![allow(clippy::redundant_closure, reason = "each form of a spawn is written as users write it")]

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

use crate::support::WATCHDOG;

/// Fails instead of hanging.
#[track_caller]
fn in_time<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let place = Location::caller();
    async move {
        let ended = timeout(WATCHDOG, future).await;
        ended.unwrap_or_else(|_| panic!("hangs at {place}"))
    }
}

/// Waits until what other tasks of the thread do has come true. A paused clock does not pass meanwhile.
#[track_caller]
fn until(holds: impl Fn() -> bool) -> impl Future<Output = ()> {
    let place = Location::caller();
    async move {
        let begun = std::time::Instant::now();
        while !holds() {
            assert!(begun.elapsed() < WATCHDOG, "hangs at {place}");
            yield_now().await;
        }
    }
}

/// What the bodies of one scope share.
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

    /// Fires a token as a guard for a body's helpers does.
    fn fire(&self, token: CancellationToken) {
        drop(token.drop_guard());
        self.fired.add_permits(1);
    }

    async fn one_has_fired(&self) {
        in_time(self.fired.acquire()).await.unwrap().forget();
        // A sibling that it has cancelled has its turn.
        for _ in 0..10 {
            yield_now().await;
        }
        assert_eq!(self.cancelled.load(SeqCst), 0, "a sibling was cancelled");
    }
}

/// Counts a run that does not come to its end.
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

/// A sibling that cannot see its token.
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

/// A sibling that is there from the start, and one that comes later.
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

/// Spawns a body of each form that has the token, and waits until it has fired it.
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
    /// Fires those, and says whether that has fired the token of this item.
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
async fn an_awaited_call_uses_the_token_that_it_was_given() {
    let scene = Scene::new();
    scene.released.close();
    macro_rules! fires_what_it_was_given {
        ($call:expr) => {
            let given = CancellationToken::new();
            let call = $call;
            _ = in_time(call(&given)).await;
            assert!(given.is_cancelled(), "{}", stringify!($call));
        };
    }
    fires_what_it_was_given!(|token: &CancellationToken| owned(token.clone(), scene.clone()));
    fires_what_it_was_given!(|token: &CancellationToken| borrowed(token.clone(), scene.clone()));
    fires_what_it_was_given!(|token: &CancellationToken| restarting(token.clone(), scene.clone()));
    fires_what_it_was_given!(|token: &CancellationToken| {
        owned(token.clone(), scene.clone()).err_into::<TaskError>()
    });
    let given = CancellationToken::new();
    in_time(borrowed(&given, scene.clone())).await.unwrap();
    assert!(given.is_cancelled());
    let of_a_task = scene.clone();
    fires_what_it_was_given!(|token: &CancellationToken| {
        let expression = task!("tokens: awaited expression", |token| async move {
            of_a_task.fire(token);
            Ok::<_, TaskError>(())
        });
        expression(token.clone())
    });
    let of_a_task = scene.clone();
    fires_what_it_was_given!(|token: &CancellationToken| {
        let typed = task!("tokens: awaited body", |token| -> Result<(), TaskError> {
            of_a_task.fire(token);
            Ok(())
        });
        typed(token.clone())
    });
}

#[tokio::test]
async fn a_call_in_a_task_uses_the_token_that_it_was_given() {
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

    let (group, begun) = (Group::new(&CancellationToken::new()), Instant::now());
    group.spawn(|token| deaf(token)).await;
    let error: TaskError = in_time(group.join()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Cancelled);
    assert_eq!(begun.elapsed(), Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn the_run_in_which_a_restarting_call_fires_its_token_is_its_last() {
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

mod another_token {
    //! The closure of a spawn ignored the token of its scope.

    use super::*;

    #[supervised(name = "tokens: deaf")]
    async fn deaf() -> Result<(), TaskError> {
        pending().await
    }

    #[supervised(name = "tokens: hears", grace = "none")]
    async fn hears(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        Ok(())
    }

    #[supervised(name = "tokens: hears, owned", grace = "none")]
    async fn hears_owned(token: CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        Ok(())
    }

    #[supervised(name = "tokens: hears not", grace = "5s", allow(unused_token))]
    async fn hears_not(_token: &CancellationToken) -> Result<(), TaskError> {
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
        group.spawn(|_| hears(given())).await;
        group.spawn(|_| hears(for_ever)).await;
        group.spawn(|_| hears_owned(given())).await;
        group.spawn(|_| restarts(given(), runs.clone())).await;
        group.spawn(|_| deaf(given()).err_into()).await;
        let expression = task!("tokens: hears, expression", grace = "none", |token| async move {
            token.cancelled().await;
            Ok(())
        });
        group.spawn(|_| expression(given())).await;
        until(|| runs.load(SeqCst) == 1).await;
        for _ in 0..10 {
            yield_now().await;
        }
        let begun = Instant::now();
        token.cancel();
        in_time(group.join()).await.unwrap_err();
        assert_eq!(begun.elapsed(), Duration::ZERO, "none waits for a grace");
        assert!(!other.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_does_not_end_is_dropped_after_its_grace() {
        let (token, other) = (CancellationToken::new(), CancellationToken::new());
        let group: Group<(), TaskError> = Group::new(&token);
        group.spawn(|_| hears_not(other.clone())).await;
        yield_now().await;
        let begun = Instant::now();
        token.cancel();
        in_time(group.join()).await.unwrap_err();
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
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
        let begun = Instant::now();
        in_time(pool.drain(Duration::from_secs(4))).await.ok();
        assert!(begun.elapsed() < Duration::from_secs(4), "the drain had to abort a run");
    }

    fn is_waiting(state: TaskState, name: &str) -> bool {
        state == TaskState::Waiting && name == "tokens: one at a time"
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_cancels_runs_with_another_token() {
        let (pool, other) = (Pool::new(8), CancellationToken::new());
        pool.spawn(|_| deaf(other.clone())).await.unwrap();
        pool.spawn(|_| hears(other.clone())).await.unwrap();
        pool.spawn(|_| hears_owned(other.clone())).await.unwrap();
        for _ in 0..10 {
            yield_now().await;
        }
        let begun = Instant::now();
        in_time(pool.drain(Duration::from_secs(4))).await.ok();
        assert!(begun.elapsed() < Duration::from_secs(4), "the drain had to abort a run");
        assert!(!other.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_map_cancels_items_with_another_token() {
        let (token, other) = (CancellationToken::new(), CancellationToken::new());
        let cancels = token.clone();
        let given = other.clone();
        let items = map(&token, 0..4, move |_, _| hears(given.clone())).limit(4);
        let cancel = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            cancels.cancel();
        };
        let begun = Instant::now();
        _ = in_time(async { tokio::join!(items, cancel) }).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        assert!(!other.is_cancelled());
    }
}

mod states {
    //! What `tasks()` says of a run whose own token has fired.

    use super::*;

    /// The states of the live tasks of one function.
    fn states_of(name: &str) -> Vec<TaskState> {
        tasks().iter().filter(|task| task.name == name).map(|task| task.state).collect()
    }

    #[tokio::test]
    async fn a_run_whose_own_token_fired_is_stopping() {
        #[supervised(name = "tokens: its last words")]
        async fn conn(token: &CancellationToken, released: Arc<Scene>) -> Result<(), TaskError> {
            token.cancelled().await;
            released.is_released().await;
            Ok(())
        }

        let (server, scene) = (CancellationToken::new(), Scene::new());
        let (pool, group) = (Pool::new(8), Group::new(&CancellationToken::new()));
        pool.spawn(|_| conn(server.clone(), scene.clone())).await.unwrap();
        group.spawn(|_| conn(server.clone(), scene.clone())).await;
        until(|| states_of("tokens: its last words") == [TaskState::Running; 2]).await;
        server.cancel();
        until(|| states_of("tokens: its last words") == [TaskState::Stopping; 2]).await;
        scene.released.close();
        in_time(group.join()).await.unwrap();
        in_time(pool.drain(Duration::from_secs(40))).await.unwrap();
    }

    #[tokio::test]
    async fn an_item_is_not_stopping_because_the_one_before_was() {
        #[supervised(name = "tokens: items in turn")]
        async fn item(
            token: CancellationToken,
            n: u32,
            scenes: [Arc<Scene>; 2],
        ) -> Result<(), TaskError> {
            if n == 0 {
                token.cancel();
            }
            scenes[n as usize].waiting.fetch_add(1, SeqCst);
            scenes[n as usize].is_released().await;
            Ok(())
        }

        let scenes = [Scene::new(), Scene::new()];
        let given = scenes.clone();
        let items =
            map(&CancellationToken::new(), 0..2, move |token, n| item(token, n, given.clone()));
        let look = async {
            let state = || states_of("tokens: items in turn");
            until(|| scenes[0].waiting.load(SeqCst) == 1 && state() == [TaskState::Stopping]).await;
            scenes[0].released.close();
            until(|| scenes[1].waiting.load(SeqCst) == 1 && state() == [TaskState::Running]).await;
            scenes[1].released.close();
        };
        let (ends, ()) = in_time(async { tokio::join!(items.limit(1), look) }).await;
        ends.unwrap();
    }
}

mod pool_token {
    //! The closure of a spawn has fired the token that the tasks of its pool share.

    use std::fmt::Debug;

    use tracing::{Event, Level, Subscriber, field::Field, subscriber::DefaultGuard};
    use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt};

    use super::*;

    /// The warnings of this thread, as texts.
    #[derive(Clone, Default)]
    struct Warnings(Arc<Mutex<Vec<String>>>);

    impl Warnings {
        fn listen() -> (Self, DefaultGuard) {
            let warnings = Self::default();
            let subscriber = tracing_subscriber::registry().with(warnings.clone());
            (warnings, tracing::subscriber::set_default(subscriber))
        }

        /// How many of them are about a pool's token.
        fn count(&self) -> usize {
            let texts = self.0.lock().unwrap();
            texts.iter().filter(|text| text.starts_with("the token of the pool made at")).count()
        }
    }

    impl<S: Subscriber> Layer<S> for Warnings {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            if *event.metadata().level() != Level::WARN {
                return;
            }
            let mut text = String::new();
            event.record(&mut |field: &Field, value: &dyn Debug| {
                if field.name() == "message" {
                    text = format!("{value:?}");
                }
            });
            self.0.lock().unwrap().push(text);
        }
    }

    /// Spawns a task, and returns the token that its closure was given.
    async fn spawn_and_keep(pool: &Pool, scene: &Arc<Scene>) -> CancellationToken {
        let mut kept = None;
        let spawned = pool.spawn(|token| {
            kept = Some(token.clone());
            sibling(token, scene.clone())
        });
        spawned.await.unwrap();
        kept.unwrap()
    }

    #[tokio::test]
    async fn later_tasks_of_a_pool_run_and_its_token_is_replaced() {
        let (warnings, _guard) = Warnings::listen();
        let (pool, before, after) = (Pool::new(8), Scene::new(), Scene::new());
        let token = spawn_and_keep(&pool, &before).await;
        pool.spawn(|token| listening(token, before.clone())).await.unwrap();
        until(|| before.waiting.load(SeqCst) == 2).await;
        token.cancel();
        until(|| before.cancelled.load(SeqCst) == 2).await;
        assert_eq!(warnings.count(), 0, "not before it is replaced");

        pool.spawn(|token| listening(token, after.clone())).await.unwrap();
        pool.try_spawn(|token| sibling(token, after.clone())).unwrap();
        pool.reserve().await.unwrap().spawn(|token| sibling(token, after.clone()));
        spawn_and_keep(&pool, &after).await;
        until(|| after.waiting.load(SeqCst) == 4).await;
        assert_eq!(warnings.count(), 1);
        after.released.close();
        in_time(pool.drain(Duration::from_secs(40))).await.unwrap();
        assert_eq!((after.cancelled.load(SeqCst), after.finished.load(SeqCst)), (0, 4));
        assert_eq!(warnings.count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_stops_tasks_that_have_the_new_token() {
        let (pool, before, after) = (Pool::new(8), Scene::new(), Scene::new());
        spawn_and_keep(&pool, &before).await.cancel();
        pool.spawn(|token| listening(token, after.clone())).await.unwrap();
        until(|| after.waiting.load(SeqCst) == 1).await;
        let begun = Instant::now();
        in_time(pool.drain(Duration::from_secs(4))).await.ok();
        assert!(begun.elapsed() < Duration::from_secs(4), "the drain had to abort the task");
        assert_eq!(after.cancelled.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn a_pool_whose_token_is_fired_again_and_again_runs_its_tasks() {
        let (warnings, _guard) = Warnings::listen();
        let (pool, scene) = (Pool::new(8), Scene::new());
        scene.released.close();
        for n in 1..200 {
            let token = spawn_and_keep(&pool, &scene).await;
            until(|| scene.finished.load(SeqCst) == n).await;
            token.cancel();
        }
        assert_eq!(warnings.count(), 198);
        in_time(pool.drain(Duration::from_secs(40))).await.unwrap();
        assert_eq!(warnings.count(), 199, "the drain logs it if no spawn did");
    }

    #[tokio::test]
    async fn a_spawn_that_waits_for_its_slot_runs_with_the_new_token() {
        let (pool, scene) = (Pool::new(1), Scene::new());
        let token = spawn_and_keep(&pool, &scene).await;
        until(|| scene.waiting.load(SeqCst) == 1).await;
        let mut inserted = Box::pin(pool.spawn(|token| later(token, scene.clone())));
        let mut taken = Box::pin(pool.spawn(|token| listening(token, scene.clone())));
        assert!(futures::poll!(&mut inserted).is_pending());
        assert!(futures::poll!(&mut taken).is_pending());
        token.cancel();
        // A spawn that came later replaces it.
        let mut last = Box::pin(pool.spawn(|token| later(token, scene.clone())));
        assert!(futures::poll!(&mut last).is_pending());
        in_time(inserted).await.unwrap();
        scene.released.close();
        in_time(taken).await.unwrap();
        in_time(last).await.unwrap();
        in_time(pool.drain(Duration::from_secs(40))).await.unwrap();
        assert_eq!((scene.cancelled.load(SeqCst), scene.finished.load(SeqCst)), (1, 3));
    }

    #[tokio::test]
    async fn a_spawn_that_waits_runs_however_often_the_token_is_replaced() {
        for times in [1, 2, 5] {
            let (pool, scene) = (Pool::new(1), Scene::new());
            spawn_and_keep(&pool, &scene).await;
            until(|| scene.waiting.load(SeqCst) == 1).await;
            let mut waits = Box::pin(pool.spawn(|token| listening(token, scene.clone())));
            assert!(futures::poll!(&mut waits).is_pending());
            // Each closure fires the token that it gets, which is a new one.
            for _ in 0..times {
                drop(pool.spawn(|token| {
                    token.cancel();
                    listening(token, scene.clone())
                }));
            }
            in_time(waits).await.unwrap();
            until(|| scene.waiting.load(SeqCst) == 2 || pool.is_empty()).await;
            scene.released.close();
            in_time(pool.drain(Duration::from_secs(40))).await.unwrap();
            let ends = (scene.cancelled.load(SeqCst), scene.finished.load(SeqCst));
            assert_eq!(ends, (1, 1), "fired {times} times");
        }
    }

    #[tokio::test]
    async fn the_states_of_tasks_are_those_of_their_own_tokens() {
        #[supervised(name = "tokens: has the old token")]
        async fn old(token: CancellationToken, scene: Arc<Scene>) -> Result<(), TaskError> {
            scene.waiting.fetch_add(1, SeqCst);
            scene.is_released().await;
            token.cancelled().await;
            Ok(())
        }
        #[supervised(name = "tokens: has the new token")]
        async fn new(scene: Arc<Scene>) -> Result<(), TaskError> {
            scene.is_released().await;
            Ok(())
        }
        let state = |name: &str| tasks().iter().find(|task| task.name == name).map(|t| t.state);

        let (pool, scene) = (Pool::new(8), Scene::new());
        pool.spawn(|token| old(token, scene.clone())).await.unwrap();
        until(|| scene.waiting.load(SeqCst) == 1).await;
        spawn_and_keep(&pool, &scene).await.cancel();
        pool.spawn(|token| new(token, scene.clone())).await.unwrap();
        let is = |name, is| state(name) == Some(is);
        until(|| is("tokens: has the new token", TaskState::Running)).await;
        assert!(is("tokens: has the old token", TaskState::Stopping));
        scene.released.close();
        in_time(pool.drain(Duration::from_secs(40))).await.unwrap();
    }

    #[tokio::test]
    async fn a_task_that_waits_for_a_slot_of_its_own_pool_is_still_found() {
        #[supervised(name = "tokens: spawns into its own pool")]
        async fn spawns(pool: Pool, refused: Arc<AtomicUsize>) -> Result<(), TaskError> {
            let spawned = pool.spawn(|token| later(token, Scene::new())).await;
            refused.fetch_add(usize::from(spawned.is_err()), SeqCst);
            Ok(())
        }

        let (pool, scene, refused) = (Pool::new(1), Scene::new(), Arc::new(AtomicUsize::new(0)));
        scene.released.close();
        spawn_and_keep(&pool, &scene).await.cancel();
        until(|| pool.is_empty()).await;
        let task = |token| spawns(token, pool.clone(), refused.clone());
        pool.spawn(task).await.unwrap();
        until(|| refused.load(SeqCst) == 1).await;
        in_time(pool.drain(Duration::from_secs(40))).await.unwrap();
    }
}
