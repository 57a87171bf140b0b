//! The closure of a spawn fired the token that the tasks of its pool share.

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

    /// How many of them concern the token of a pool.
    fn count(&self) -> usize {
        let texts = self.0.lock().unwrap();
        texts.iter().filter(|text| text.starts_with("the token of the pool created at")).count()
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

/// Spawns a task and returns the token that its closure got.
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
    let started = Instant::now();
    in_time(pool.drain(Duration::from_secs(4))).await.ok();
    assert!(started.elapsed() < Duration::from_secs(4), "the drain had to abort the task");
    assert_eq!(after.cancelled.load(SeqCst), 1);
}

#[tokio::test]
async fn a_pool_whose_token_is_fired_repeatedly_runs_its_tasks() {
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
    // A later spawn replaces it.
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
        // Each closure fires its token, which is a new one.
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
