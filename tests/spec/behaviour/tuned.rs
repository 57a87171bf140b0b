//! The options of one call: `.timeout(d)`, `.grace(d)`, `.label(text)`; and `.boxed()`.

use std::{
    fmt,
    future::pending,
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tokio_supervised::{
    BoxedTask, CancellationToken, Group, LiveTask, Outcome, Pool, Supervised, TaskError, Tuned,
    map, supervised, task, tasks,
};

use testkit::{in_time, outcomes_of, turn};

const SECOND: Duration = Duration::from_secs(1);

fn live(name: &str) -> Vec<LiveTask> {
    tasks().iter().filter(|task| task.name == name).cloned().collect()
}

async fn until_live(name: &str, labels: &[&str]) -> Vec<LiveTask> {
    in_time(async {
        loop {
            let found = live(name);
            let mut shown: Vec<_> = found.iter().filter_map(LiveTask::label).collect();
            shown.sort_unstable();
            if shown == labels {
                return found;
            }
            turn().await;
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_call_has_its_own_timeout() {
    #[supervised(timeout = "10s", name = "tuned: times out")]
    async fn wait() -> Result<(), TaskError> {
        pending().await
    }
    #[supervised(name = "tuned: has no timeout")]
    async fn wait_for_ever() -> Result<(), TaskError> {
        pending().await
    }

    let token = CancellationToken::new();
    for (limit, text) in [(2, "2s"), (60, "60s")] {
        let started = Instant::now();
        let error = wait(&token).timeout(limit * SECOND).await.unwrap_err();
        assert_eq!(started.elapsed(), limit * SECOND);
        assert_eq!(error.to_string(), format!("task `tuned: times out` timed out after {text}"));
    }
    let error = wait_for_ever(&token).timeout(SECOND).await.unwrap_err();
    assert!(matches!(error, TaskError::TimedOut(_)));
    let started = Instant::now();
    _ = wait(&token).timeout(SECOND).timeout(3 * SECOND).await;
    assert_eq!(started.elapsed(), 3 * SECOND, "the last one counts");
    let started = Instant::now();
    _ = wait(&token).await;
    assert_eq!(started.elapsed(), 10 * SECOND, "another call has that of the function");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_zero_polls_the_body_once() {
    #[supervised(name = "tuned: zero")]
    async fn turns(times: u32) -> Result<u32, TaskError> {
        for _ in 0..times {
            turn().await;
        }
        Ok(times)
    }

    let token = CancellationToken::new();
    assert_eq!(turns(&token, 0).timeout(Duration::ZERO).await.unwrap(), 0);
    turns(&token, 1).timeout(Duration::ZERO).await.unwrap_err();
    assert_eq!(turns(&token, 3).timeout(Duration::MAX).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_has_its_own_grace() {
    #[supervised(grace = "10s", name = "tuned: grace")]
    async fn ignores(token: CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    for (grace, waits) in [(Some(2), 2), (Some(30), 30), (None, 10), (Some(0), 0)] {
        let token = CancellationToken::new();
        let started = Instant::now();
        let call = ignores(token.clone());
        let call = async {
            match grace {
                Some(grace) => call.grace(grace * SECOND).await,
                None => call.await,
            }
        };
        let fires = async { token.cancel() };
        let (ended, ()) = tokio::join!(call, fires);
        assert!(matches!(ended, Err(TaskError::Cancelled(_))));
        assert_eq!(started.elapsed(), waits * SECOND, "{grace:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_s_grace_bounds_that_of_a_call() {
    #[supervised(name = "tuned: grace in a group")]
    async fn ignores(token: CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    for (grace, waits) in [(2, 2), (60, 5)] {
        let token = CancellationToken::new();
        let group = Group::new(&token).grace(5 * SECOND);
        group.spawn(|token| ignores(token).grace(grace * SECOND)).await;
        turn().await;
        let started = Instant::now();
        token.cancel();
        group.join().await.unwrap_err();
        assert_eq!(started.elapsed(), waits * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_restarts_has_its_options_in_each_run() {
    #[supervised(restart = "on-failure", backoff = "1s..1s", name = "tuned: restarts")]
    async fn wait(runs: Arc<AtomicU32>) -> Result<u32, TaskError> {
        let run = runs.fetch_add(1, Ordering::Relaxed) + 1;
        if run < 3 { pending().await } else { Ok(run) }
    }

    let started = Instant::now();
    let call = wait(CancellationToken::new(), Arc::default());
    assert_eq!(call.timeout(5 * SECOND).label("peer").await.unwrap(), 3);
    assert!(started.elapsed() >= 11 * SECOND, "two timeouts, two waits: {:?}", started.elapsed());
    assert_eq!(outcomes_of("tuned: restarts"), [(Outcome::Ok, 1), (Outcome::TimedOut, 2)]);
}

#[tokio::test(start_paused = true)]
async fn options_work_in_the_closures_of_group_pool_and_map() {
    #[supervised(name = "tuned: in closures")]
    async fn wait(_: u32) -> Result<(), TaskError> {
        pending().await
    }

    let token = CancellationToken::new();
    let group = Group::new(&token);
    group.spawn(|token| wait(token, 0).timeout(SECOND).label("a")).await;
    let error = group.join().await.unwrap_err();
    assert_eq!(error.to_string(), "task `tuned: in closures` [a] timed out after 1s");

    let ends = map(&token, [1, 2], |token, n| wait(token, n).timeout(n * SECOND).label(n));
    let ends = ends.settled().await.into_iter().map(|end| end.unwrap_err().to_string());
    let text = |n| format!("task `tuned: in closures` [{n}] timed out after {n}s");
    assert!(ends.eq([text(1), text(2)]));

    let pool = Pool::new(1);
    pool.spawn(|token| wait(token, 0).timeout(3 * SECOND)).await.unwrap();
    let started = Instant::now();
    pool.drain(60 * SECOND).await.unwrap();
    assert_eq!(started.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn every_error_of_a_labelled_call_shows_the_label() {
    #[supervised(limit = 1, on_full = "reject", name = "tuned: errors")]
    async fn fail(panics: bool) -> Result<(), TaskError> {
        if panics {
            panic!("as it should");
        }
        pending().await
    }

    let token = CancellationToken::new();
    let panicked = fail(&token, true).label("x:1").await.unwrap_err();
    let text = panicked.to_string();
    assert!(text.starts_with("task `tuned: errors` [x:1] panicked at "), "{text}");
    let holder = fail(&token, false).timeout(SECOND);
    let full = async { fail(&token, false).label("x:2").await };
    let (_, full) = tokio::join!(holder, full);
    let text = full.unwrap_err().to_string();
    assert_eq!(text, "task `tuned: errors` [x:2] was rejected: its only permit is taken");
    token.cancel();
    let cancelled = fail(&token, false).label("x:3").await.unwrap_err();
    let text = cancelled.to_string();
    assert_eq!(text, "task `tuned: errors` [x:3] was cancelled: its token fired");
    assert_eq!(cancelled.task(), "tuned: errors");
    let source = std::error::Error::source(&cancelled).unwrap().to_string();
    assert!(source.starts_with("the function is defined at "), "{source}");
    let again = fail(&token, false).label("x:4").await.unwrap_err();
    let (TaskError::Cancelled(one), TaskError::Cancelled(other)) = (cancelled, again) else {
        panic!("both are cancelled")
    };
    assert_ne!(one, other, "the label counts");
}

#[tokio::test]
async fn a_live_task_shows_the_label_of_its_call() {
    #[supervised(name = "tuned: live")]
    async fn wait(_: u16) -> Result<(), TaskError> {
        pending().await
    }

    let token = CancellationToken::new();
    let group = Group::new(&token);
    group.spawn(|token| wait(token, 1).label("10.0.0.7:1")).await;
    group.spawn(|token| wait(token, 2).label(format_args!("10.0.0.{}:2", 7)).boxed()).await;
    group.spawn(|token| wait(token, 3).err_into::<TaskError>().label("10.0.0.7:3")).await;
    group.spawn(|token| wait(token, 4)).await;
    let pool = Pool::new(1);
    pool.spawn(|token| wait(token, 5).boxed().label("10.0.0.7:5")).await.unwrap();
    let labels = ["10.0.0.7:1", "10.0.0.7:2", "10.0.0.7:3", "10.0.0.7:5"];
    let found = until_live("tuned: live", &labels).await;
    assert_eq!(found.len(), 5, "one has no label");
    let line = found.iter().find(|task| task.label() == Some("10.0.0.7:1")).unwrap().to_string();
    assert!(line.starts_with("tuned: live [10.0.0.7:1] (task "), "{line}");
    assert!(tasks().to_string().contains("tuned: live [10.0.0.7:5] (task "));
    token.cancel();
    group.join().await.unwrap_err();
}

#[tokio::test]
async fn a_recycled_record_has_no_label_of_the_task_before() {
    #[supervised(name = "tuned: recycled")]
    async fn wait(forever: bool) -> Result<(), TaskError> {
        if forever { pending().await } else { Ok(()) }
    }

    let token = CancellationToken::new();
    let group = Group::new(&token).limit(1);
    group.spawn(|token| wait(token, false).label("before")).await;
    group.spawn(|token| wait(token, true)).await;
    in_time(async {
        while live("tuned: recycled").iter().any(|task| task.label().is_some()) {
            turn().await;
        }
    })
    .await;
    assert_eq!(live("tuned: recycled").len(), 1);
    token.cancel();
    group.join().await.unwrap_err();
}

#[tokio::test]
async fn a_worker_of_a_map_shows_the_label_of_its_current_item() {
    #[supervised(name = "tuned: items")]
    async fn item(n: u32) -> Result<(), TaskError> {
        if n == 2 { pending().await } else { Ok(()) }
    }

    let token = CancellationToken::new();
    let mapped = map(&token, 0..4, |token, n| item(token, n).label(format!("item {n}"))).limit(1);
    let check = async {
        until_live("tuned: items", &["item 2"]).await;
        token.cancel();
    };
    let (ended, ()) = tokio::join!(mapped, check);
    assert!(ended.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_drain_reports_label_and_grace_of_the_call() {
    #[supervised(name = "tuned: drained")]
    async fn ignores(token: CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        pending().await
    }

    let pool = Pool::new(2);
    pool.spawn(|token| ignores(token).label("peer").grace(SECOND)).await.unwrap();
    turn().await;
    let unfinished = pool.drain(60 * SECOND).await.unwrap_err();
    let text = unfinished.to_string();
    assert!(text.contains("tuned: drained [peer] (task "), "{text}");
    assert!(text.contains("dropped after its grace of 1s"), "{text}");
}

#[tokio::test]
async fn only_a_call_with_options_grows() {
    #[supervised(name = "tuned: size")]
    async fn small() -> Result<(), TaskError> {
        Ok(())
    }

    fn size<S>(_: &S) -> usize {
        size_of::<S>()
    }
    let token = CancellationToken::new();
    let plain = size(&small(&token));
    assert_eq!(size(&small(&token).timeout(SECOND)), plain, "they are in the call's boxed state");
    assert_eq!(size_of::<TaskError>(), 16);
}

#[tokio::test]
async fn recursion_is_a_plain_function() {
    fn count(token: CancellationToken, depth: u32) -> BoxedTask<u32, TaskError> {
        step(token, depth).boxed()
    }
    #[supervised(name = "tuned: recursion", on_cancel = "cooperate")]
    async fn step(token: CancellationToken, depth: u32) -> Result<u32, TaskError> {
        turn().await;
        if depth == 0 { Ok(0) } else { Ok(1 + count(token, depth - 1).await?) }
    }

    assert_eq!(count(CancellationToken::new(), 100).await.unwrap(), 100);
    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| count(token, 3)).await;
    assert_eq!(group.join().await.unwrap(), [3]);
}

#[tokio::test]
async fn boxed_calls_of_different_functions_have_one_type() {
    #[supervised(name = "tuned: reads")]
    async fn read() -> io::Result<u32> {
        Ok(1)
    }
    #[supervised(name = "tuned: parses", restart = "on-failure")]
    async fn parse() -> anyhow::Result<u32> {
        Ok(2)
    }

    let token = CancellationToken::new();
    let calls = map(&token, [true, false, true], |token, reads| match reads {
        true => read(token).err_into::<anyhow::Error>().boxed(),
        false => parse(token).label("second").boxed(),
    });
    assert_eq!(calls.await.unwrap(), [1, 2, 1]);
    let closure = task!("tuned: closure", |token| async move {
        drop(token);
        Ok::<_, anyhow::Error>(3)
    });
    assert_eq!(closure(token).boxed().label("third").await.unwrap(), 3);
}

#[tokio::test]
async fn a_boxed_call_that_returns_nothing_returns_a_result() {
    #[supervised(name = "tuned: unit")]
    async fn unit(panics: bool) {
        assert!(!panics, "as it should");
    }

    let token = CancellationToken::new();
    unit(token.clone(), false).boxed().await.unwrap();
    let error = unit(token, true).label("here").boxed().await.unwrap_err();
    assert!(error.to_string().starts_with("task `tuned: unit` [here] panicked"), "{error}");
}

#[tokio::test]
async fn a_spawned_boxed_body_gets_a_token_of_its_own() {
    #[supervised(name = "tuned: own token")]
    async fn fires(token: CancellationToken) -> Result<(), TaskError> {
        token.cancel();
        Ok(())
    }

    let token = CancellationToken::new();
    let group = Group::new(&token);
    group.spawn(|token| fires(token).label("one").boxed()).await;
    group.spawn(|token| fires(token).grace(SECOND)).await;
    group.join().await.unwrap();
    assert!(!token.is_cancelled());
    let group = Group::new(&token);
    group.spawn(|token| fires(token).boxed()).await;
    group.join().await.unwrap();
}

#[tokio::test]
async fn debug_shows_task_and_label() {
    #[supervised(name = "tuned: debug")]
    async fn call() -> Result<(), TaskError> {
        Ok(())
    }

    let token = CancellationToken::new();
    let tuned: Tuned<Supervised<_, _>> = call(token.clone()).label("peer");
    assert_eq!(format!("{tuned:?}"), r#"Tuned { task: "tuned: debug", label: Some("peer"), .. }"#);
    assert_eq!(format!("{:?}", tuned.boxed()), r#"BoxedTask { task: "tuned: debug", .. }"#);
}

#[tokio::test]
async fn a_label_that_panics_is_a_panic_of_the_closure() {
    struct Panics;
    impl fmt::Display for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no text");
        }
    }
    #[supervised(name = "tuned: label panics")]
    async fn call() -> Result<(), TaskError> {
        sleep(SECOND).await;
        Ok(())
    }

    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| call(token).label(Panics)).await;
    let error = group.join().await.unwrap_err();
    assert!(matches!(error, TaskError::Panicked(_)), "{error}");
}
