//! The live tasks: their names, parents and states, and that ended tasks are removed.

use std::{
    future::pending,
    panic::Location,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use tokio::sync::{Notify, oneshot};
use tokio_supervised::{
    CancellationToken, Group, LiveTask, Pool, TaskError, TaskState, map, shield, supervised, task,
    tasks,
};

use testkit::{in_time, turn};

/// The live tasks of that name: other tests have their own.
fn named(name: &str) -> Vec<LiveTask> {
    tasks().iter().filter(|task| task.name == name).cloned().collect()
}

fn the_one(name: &str) -> LiveTask {
    let mut found = named(name);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

/// Yields until the task of that name is in the given state.
async fn until(name: &str, does: impl Fn(&LiveTask) -> bool) -> LiveTask {
    in_time(async {
        loop {
            if let [task] = &named(name)[..] {
                if does(task) {
                    return task.clone();
                }
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_task_has_a_name_id_place_and_age() {
    #[supervised(name = "tasks: identified")]
    async fn identified(id: oneshot::Sender<tokio::task::Id>) -> Result<(), TaskError> {
        _ = id.send(tokio::task::id());
        pending().await
    }

    let (id, is) = oneshot::channel();
    let pool = Pool::new(1);
    let spawned = pool.spawn(|token| identified(token, id));
    let here = Location::caller();
    spawned.await.unwrap();
    let id = is.await.unwrap();
    let task = the_one("tasks: identified");
    assert_eq!(task.id, Some(id));
    assert_eq!((task.spawned_at.file(), task.spawned_at.line()), (here.file(), here.line() - 1));
    let first = task.age;
    assert!(the_one("tasks: identified").age > first, "its age increases");
}

#[tokio::test]
async fn tasks_of_a_group_are_children_of_the_task_that_made_it() {
    #[supervised(name = "tasks: child")]
    async fn child(started: Arc<Notify>) -> Result<(), TaskError> {
        started.notify_one();
        pending().await
    }
    #[supervised(name = "tasks: inline")]
    async fn inline(token: &CancellationToken, started: Arc<Notify>) -> Result<(), TaskError> {
        let group = Group::new(token);
        group.spawn(|token| child(token, started)).await;
        group.join().await.map(drop)
    }
    #[supervised(name = "tasks: parent")]
    async fn parent(token: &CancellationToken, started: Arc<Notify>) -> Result<(), TaskError> {
        inline(token, started).await
    }

    let pool = Pool::new(1);
    let started = Arc::new(Notify::new());
    pool.spawn(|token| parent(token, started.clone())).await.unwrap();
    in_time(started.notified()).await;
    let parent = the_one("tasks: parent");
    let child = the_one("tasks: child");
    assert_eq!((parent.depth, child.depth), (0, 1));
    assert_eq!(parent.parent, None);
    let above = child.parent.expect("the child has a parent");
    assert_eq!((above.name, above.id), ("tasks: parent", parent.id));
    assert!(named("tasks: inline").is_empty(), "a run that is awaited inline is no task");
    let all = tasks();
    let at = all.iter().position(|task| task.id == parent.id).expect("the parent is listed");
    assert_eq!(all.iter().nth(at + 1).expect("the name is followed by a column").id, child.id);
}

#[tokio::test]
async fn a_task_of_a_pool_is_a_root_wherever_it_was_spawned() {
    #[supervised(name = "tasks: background")]
    async fn background() -> Result<(), TaskError> {
        pending().await
    }
    #[supervised(name = "tasks: spawns")]
    async fn spawns(pool: Pool, done: oneshot::Sender<()>) -> Result<(), TaskError> {
        pool.spawn(background).await.expect("the pool is open");
        _ = done.send(());
        pending().await
    }

    let (pool, other) = (Pool::new(1), Pool::new(1));
    let (done, is_done) = oneshot::channel();
    let given = other.clone();
    pool.spawn(|token| spawns(token, given, done)).await.unwrap();
    is_done.await.unwrap();
    let task = the_one("tasks: background");
    assert_eq!((task.depth, task.parent), (0, None));
}

#[tokio::test]
async fn a_task_whose_parent_has_ended_is_a_root_that_still_names_it() {
    #[supervised(name = "tasks: orphan")]
    async fn orphan() -> Result<(), TaskError> {
        pending().await
    }
    type Orphans = Group<(), TaskError>;
    #[supervised(name = "tasks: leaves")]
    async fn leaves(
        token: &CancellationToken,
        group: oneshot::Sender<Orphans>,
    ) -> Result<(), TaskError> {
        let orphans = Group::new(&CancellationToken::new());
        orphans.spawn(orphan).await;
        _ = token.is_cancelled();
        _ = group.send(orphans);
        Ok(())
    }

    let pool = Pool::new(1);
    let (give, group) = oneshot::channel();
    pool.spawn(|token| leaves(token, give)).await.unwrap();
    let _group = group.await.unwrap();
    in_time(async {
        while !pool.is_empty() {
            turn().await;
        }
    })
    .await;
    let task = the_one("tasks: orphan");
    assert_eq!((task.depth, task.parent.map(|parent| parent.name)), (0, Some("tasks: leaves")));
}

#[tokio::test]
async fn a_map_has_one_task_per_worker_as_old_as_its_run() {
    #[supervised(name = "tasks: mapped")]
    async fn mapped(n: u32) -> Result<(), TaskError> {
        match n {
            0..100 => Ok(()),
            _ => pending().await,
        }
    }

    let token = CancellationToken::new();
    let here = Location::caller().line() + 1;
    let results = map(&token, 0..1_000, mapped).limit(3);
    let driven = tokio::spawn(results.settled());
    in_time(async {
        while named("tasks: mapped").iter().filter(|task| task.state == TaskState::Running).count()
            < 3
        {
            turn().await;
        }
    })
    .await;
    for task in named("tasks: mapped") {
        assert_eq!((task.spawned_at.file(), task.spawned_at.line()), (file!(), here));
    }
    token.cancel();
    in_time(driven).await.unwrap();
    assert!(named("tasks: mapped").is_empty());
}

#[tokio::test]
async fn an_iterator_of_a_map_may_list_the_live_tasks() {
    #[supervised(name = "tasks: listed")]
    async fn listed(_seen: usize) -> Result<(), TaskError> {
        tokio::task::yield_now().await;
        Ok(())
    }

    let token = CancellationToken::new();
    let items = (0..10).map(|_| tasks().len());
    in_time(map(&token, items, |token, n| listed(token, n + tasks().len()))).await.unwrap();
}

#[tokio::test]
async fn a_task_without_thread_or_permit_is_waiting() {
    #[supervised(name = "tasks: one at a time", limit = 1)]
    async fn one_at_a_time() -> Result<(), TaskError> {
        pending().await
    }

    let pool = Pool::new(2);
    let slots = [pool.reserve().await.unwrap(), pool.reserve().await.unwrap()];
    for slot in slots {
        slot.spawn(one_at_a_time);
    }
    let states = || named("tasks: one at a time").iter().map(|task| task.state).collect::<Vec<_>>();
    assert_eq!(states(), [TaskState::Waiting, TaskState::Waiting], "no thread was free yet");
    turn().await;
    assert_eq!(states(), [TaskState::Running, TaskState::Waiting], "the second has no permit");
}

#[tokio::test(start_paused = true)]
async fn a_call_in_its_backoff_is_waiting() {
    #[supervised(name = "tasks: restarts", restart = "always", backoff = "1h..1h")]
    async fn restarts() -> Result<(), TaskError> {
        Ok(())
    }

    let pool = Pool::new(1);
    pool.spawn(restarts).await.unwrap();
    turn().await;
    assert_eq!(the_one("tasks: restarts").state, TaskState::Waiting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_blocks_its_worker_is_reported_with_the_time() {
    #[supervised(name = "tasks: blocks")]
    async fn blocks(until: Arc<Mutex<mpsc::Receiver<()>>>) -> Result<(), TaskError> {
        _ = until.lock().unwrap().recv();
        Ok(())
    }

    let (release, until_released) = mpsc::channel();
    let until_released = Arc::new(Mutex::new(until_released));
    let pool = Pool::new(1);
    pool.spawn(|token| blocks(token, until_released)).await.unwrap();
    let blocked = |task: &LiveTask| matches!(task.state, TaskState::Polling(_));
    let task = until("tasks: blocks", blocked).await;
    release.send(()).unwrap();
    let TaskState::Polling(since) = task.state else { panic!("{task:?}") };
    assert!(since >= Duration::from_millis(10) && since <= task.age, "{task:?}");
    assert!(task.state.blocks_thread());
    assert!(task.to_string().contains(": polling for "), "{task}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closure_with_a_thread_is_blocking_and_not_on_a_worker() {
    let (release, until_released) = mpsc::channel::<()>();
    let pool = Pool::new(1);
    let work = move |_| {
        _ = until_released.recv();
        Ok::<_, TaskError>(())
    };
    pool.spawn_blocking("tasks: has a thread", work).await.unwrap();
    let blocking = |task: &LiveTask| matches!(task.state, TaskState::Blocking(_));
    let task = until("tasks: has a thread", blocking).await;
    release.send(()).unwrap();
    assert!(task.state.blocks_thread());
}

#[tokio::test]
async fn a_cancelled_task_is_stopping_until_it_ends() {
    #[supervised(name = "tasks: stops")]
    async fn stops(go_on: Arc<Notify>) -> Result<(), TaskError> {
        shield(Duration::from_secs(60), |_| go_on.notified()).await;
        pending().await
    }

    let token = CancellationToken::new();
    let go_on = Arc::new(Notify::new());
    let group = Group::new(&token);
    group.spawn(|token| stops(token, go_on.clone())).await;
    turn().await;
    assert_eq!(the_one("tasks: stops").state, TaskState::Running);
    token.cancel();
    turn().await;
    assert_eq!(the_one("tasks: stops").state, TaskState::Stopping);
    go_on.notify_one();
    in_time(group.join()).await.unwrap_err();
    assert!(named("tasks: stops").is_empty());
}

#[tokio::test]
async fn a_task_is_delisted_however_it_ends() {
    #[supervised(name = "tasks: ends", timeout = "1ms")]
    async fn ends(how: u32) -> anyhow::Result<()> {
        match how {
            0 => Ok(()),
            1 => anyhow::bail!("no"),
            2 => panic!("tasks: ends"),
            _ => pending().await,
        }
    }

    let pool = Pool::new(16);
    for how in 0..4 {
        pool.spawn(|token| ends(token, how)).await.unwrap();
    }
    in_time(async {
        while !named("tasks: ends").is_empty() {
            turn().await;
        }
    })
    .await;
    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| ends(token, 3)).await;
    drop(group);
    in_time(async {
        while !named("tasks: ends").is_empty() {
            turn().await;
        }
    })
    .await;
}

#[tokio::test]
async fn joined_groups_and_dropped_pools_are_not_listed() {
    #[supervised(name = "tasks: listed")]
    async fn listed() -> Result<(), TaskError> {
        Ok(())
    }

    for _ in 0..100 {
        let group = Group::new(&CancellationToken::new());
        group.spawn(listed).await;
        group.join().await.unwrap();
        let pool = Pool::new(1);
        pool.spawn(listed).await.unwrap();
        pool.drain(Duration::from_secs(1)).await.unwrap();
    }
    assert!(named("tasks: listed").is_empty());
}

#[tokio::test]
async fn the_tree_has_aligned_columns_and_folds_equal_tasks() {
    #[supervised(name = "tasks: drawn child")]
    async fn child() -> Result<(), TaskError> {
        pending().await
    }
    #[supervised(name = "tasks: drawn")]
    async fn drawn(token: &CancellationToken, started: Arc<Notify>) -> Result<(), TaskError> {
        let group = Group::new(token);
        for _ in 0..30 {
            group.spawn(child).await;
        }
        group.spawn(task_once).await;
        started.notify_one();
        group.join().await.map(drop)
    }
    #[supervised(name = "tasks: drawn other")]
    async fn task_once() -> Result<(), TaskError> {
        pending().await
    }

    let pool = Pool::new(1);
    let started = Arc::new(Notify::new());
    pool.spawn(|token| drawn(token, started.clone())).await.unwrap();
    in_time(started.notified()).await;
    turn().await;
    let tree = tasks().to_string();
    let mut lines = tree.lines().skip_while(|line| !line.starts_with("tasks: drawn (task "));
    let root = lines.next().expect("the parent is listed");
    let lines: Vec<_> = lines.take(12).collect();
    for line in &lines[..10] {
        assert!(line.starts_with("├─ tasks: drawn child (task "), "{tree}");
    }
    assert!(lines[10].starts_with("├─ … 20 × tasks: drawn child "), "{tree}");
    assert!(lines[10].contains("≤ "), "{tree}");
    assert!(lines[11].starts_with("└─ tasks: drawn other (task "), "{tree}");
    let place_at = |line: &str| line.chars().position(|c| c == '/').expect("the text has a place");
    assert_eq!(place_at(root), place_at(lines[0]), "{tree}");
    assert_eq!(place_at(root), place_at(lines[11]), "{tree}");
    assert!(tree.starts_with("task "), "{tree}");
}

#[tokio::test]
async fn a_name_with_a_line_break_is_one_line_of_the_tree() {
    let pool = Pool::new(1);
    let odd = task!("tasks: odd\n\u{1b}[31m", |_| -> Result<(), TaskError> { pending().await });
    pool.spawn(odd).await.unwrap();
    let tree = tasks().to_string();
    assert!(tree.lines().any(|line| line.starts_with("tasks: odd\\n\\u{1b}[31m (task ")), "{tree}");
    let task = the_one("tasks: odd\n\u{1b}[31m");
    assert!(task.to_string().starts_with("tasks: odd\\n\\u{1b}[31m (task "), "{task}");
}

#[tokio::test]
async fn a_foreign_future_is_a_task_under_its_name() {
    let pool = Pool::new(1);
    let foreign = task!("tasks: foreign", |_| -> Result<(), TaskError> { pending().await });
    pool.spawn(foreign).await.unwrap();
    assert_eq!(the_one("tasks: foreign").depth, 0);
}
