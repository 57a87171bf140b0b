//! The state in `tasks()` of a run whose own token has fired.

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
    let items = map(&CancellationToken::new(), 0..2, move |token, n| item(token, n, given.clone()));
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
