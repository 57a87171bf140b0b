//! The texts and sources of errors, causes and refusals.

use std::{
    backtrace::BacktraceStatus,
    error::Error,
    future::pending,
    io,
    time::{Duration, SystemTime},
};

use tokio_supervised::{
    CancellationToken, Cause, Group, Pool, RecentPanic, Signal, SpawnError, TaskError,
    TrySpawnError, recent_panics, supervised, task, tasks,
};

use testkit::{in_time, turn};

#[test]
fn a_cause_is_displayed_in_words() {
    let said = [
        (Cause::Token, "its token fired"),
        (Cause::Signal(Signal::Interrupt), "the process received SIGINT"),
        (Cause::Signal(Signal::Terminate), "the process received SIGTERM"),
        (Cause::Signal(Signal::Break), "the process received SIGBREAK"),
        (Cause::SiblingFailed { task: "fetch" }, "its sibling `fetch` failed"),
        (Cause::SiblingExited { task: "serve" }, "its sibling `serve` ended"),
        (Cause::Drained, "its pool is draining"),
        (Cause::ScopeDropped, "its scope was dropped"),
        (Cause::ShieldLimit, "its shield exceeded its limit"),
        (Cause::Deadline, "its deadline has passed"),
    ];
    for (cause, words) in said {
        assert_eq!(cause.to_string(), words);
    }
    let numbers = [Signal::Interrupt, Signal::Terminate, Signal::Break].map(Signal::number);
    assert_eq!(numbers, [2, 15, 21]);
}

#[tokio::test(start_paused = true)]
async fn an_error_has_task_and_cause_in_every_representation() {
    #[supervised(name = "texts: late", timeout = "3s")]
    async fn late() -> Result<(), TaskError> {
        pending().await
    }
    #[supervised(name = "texts: one", limit = 1, on_full = "reject")]
    async fn one() -> Result<(), TaskError> {
        pending().await
    }
    #[supervised(name = "texts: two", limit = 2, on_full = "reject")]
    async fn two() -> Result<(), TaskError> {
        pending().await
    }

    let (token, fired) = (CancellationToken::new(), CancellationToken::new());
    fired.cancel();
    let group = Group::new(&token);
    group.spawn(one).await;
    group.spawn(two).await;
    group.spawn(two).await;
    turn().await;
    let errors = [
        (late(&fired).await, "task `texts: late` was cancelled: its token fired"),
        (late(&token).await, "task `texts: late` timed out after 3s"),
        (one(&token).await, "task `texts: one` was rejected: its only permit is taken"),
        (two(&token).await, "task `texts: two` was rejected: all 2 permits are taken"),
    ];
    for (ended, said) in errors {
        let error = ended.unwrap_err();
        assert_eq!(error.to_string(), said);
        let defined = error.source().unwrap().to_string();
        assert!(
            defined.starts_with("the function is defined at tests/spec/behaviour/texts.rs:"),
            "{defined}"
        );
        let kind = match &error {
            TaskError::TimedOut(timed_out) => {
                assert_eq!(timed_out.task(), "texts: late");
                assert_eq!(timed_out.timeout(), Duration::from_secs(3));
                io::ErrorKind::TimedOut
            }
            _ => io::ErrorKind::Other,
        };
        let error = io::Error::from(error);
        assert_eq!((error.kind(), error.to_string()), (kind, said.to_owned()));
    }
    token.cancel();
    assert!(group.join().await.is_err());
}

#[tokio::test]
async fn a_self_deadlock_on_slots_says_how_many_there_are() {
    let group = Group::<(), TaskError>::new(&CancellationToken::new()).limit(2);
    for _ in 0..2 {
        let handle = group.handle();
        let holds = task!("texts: holds", |token| -> Result<(), TaskError> {
            turn().await;
            let leaf = task!("texts: leaf", |_| -> Result<(), TaskError> { Ok(()) });
            tokio::select! {
                spawned = in_time(handle.spawn(leaf)) => match spawned {
                    Err(SpawnError::Rejected(rejected)) => Err(TaskError::Rejected(rejected)),
                    _ => Ok(()),
                },
                () = token.cancelled() => Ok(()),
            }
        });
        group.spawn(holds).await;
    }
    let error = in_time(group.join()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "task `texts: leaf` was rejected: self-deadlock (`texts: holds` -> `texts: leaf`): \
         all 2 slots of their scope are taken"
    );
}

#[tokio::test]
async fn a_refusal_of_a_pool_is_displayed_in_words() {
    #[supervised(name = "texts: work")]
    async fn work() -> Result<(), TaskError> {
        pending().await
    }

    let pool = Pool::new(1);
    let full = "the pool has no free slot, or the function no free permit";
    let closed = "the pool is closed and accepts no more tasks";
    let slot = pool.reserve().await.unwrap();
    assert_eq!(pool.try_spawn(work).unwrap_err().to_string(), full);
    drop(slot);
    pool.drain(Duration::ZERO).await.unwrap();
    let refused = pool.spawn(work).await.unwrap_err();
    assert_eq!(refused.to_string(), closed);
    assert_eq!(pool.try_spawn(work).unwrap_err().to_string(), closed);
    let SpawnError::Closed(reason) = refused else { panic!("{refused}") };
    assert_eq!(reason.to_string(), closed);
    assert_eq!(
        (SpawnError::from(reason), TrySpawnError::from(reason)),
        (refused, TrySpawnError::Closed)
    );
    let none = pool.set_limit(0).unwrap_err();
    assert_eq!(none.to_string(), "the limit of a pool must not be 0: no task could run");
}

#[tokio::test]
async fn unfinished_tasks_are_counted_with_unused_slots() {
    #[supervised(name = "texts: deaf", grace = "none", allow(unused_token))]
    async fn deaf(token: &CancellationToken) -> Result<(), TaskError> {
        _ = token;
        pending().await
    }

    for (tasks, slots, first, last) in [
        (0, 1, "1 reserved slot was not used within 0ns", ""),
        (0, 2, "2 reserved slots were not used within 0ns", ""),
        (1, 0, "1 task did not stop within 0ns:", "\n  texts: deaf (task "),
        (1, 1, "1 task did not stop within 0ns:", "\nand 1 reserved slot was not used"),
        (2, 2, "2 tasks did not stop within 0ns:", "\nand 2 reserved slots were not used"),
    ] {
        let pool = Pool::new(tasks + slots);
        for _ in 0..tasks {
            pool.spawn(deaf).await.unwrap();
        }
        turn().await;
        let mut reserved = Vec::new();
        for _ in 0..slots {
            reserved.push(pool.reserve().await.unwrap());
        }
        let said = pool.drain(Duration::ZERO).await.unwrap_err().to_string();
        assert!(said.starts_with(first) && said.contains(last), "{said}");
        assert_eq!(said.matches("texts: deaf (task ").count(), tasks, "{said}");
    }
}

#[tokio::test]
async fn a_recent_panic_has_its_task_place_and_time() {
    const LINE: u32 = line!() + 4;

    #[supervised(name = "texts: panics")]
    async fn panics() -> Result<(), TaskError> {
        panic!("the disk is full")
    }

    let before = SystemTime::now();
    // Other tests panic too, and only the last few panics are kept.
    let (panic, kept) = loop {
        let group = Group::new(&CancellationToken::new());
        group.spawn(panics).await;
        let TaskError::Panicked(panic) = group.join().await.unwrap_err() else { unreachable!() };
        let kept = recent_panics().into_iter().find(|kept| kept.task() == "texts: panics");
        // It has none if the backtrace of another test's panic is being symbolised.
        let has_backtrace = |kept: &RecentPanic| {
            kept.backtrace().is_some_and(|it| it.status() == BacktraceStatus::Captured)
        };
        if let Some(kept) = kept.filter(has_backtrace) {
            break (panic, kept);
        }
    };
    assert_eq!(kept.message(), "the disk is full");
    assert!(kept.id().is_some());
    assert!(before <= kept.at() && kept.at() <= SystemTime::now());
    let place = kept.location().unwrap();
    assert_eq!(Some(place), panic.location());
    assert_eq!((place.file(), place.line(), place.column()), (file!(), LINE, 9));
    assert!(kept.backtrace().unwrap().to_string().contains("texts"));
    let shown = format!("{kept:?} {panic:?}");
    assert_eq!(shown.matches("task: \"texts: panics\", message: \"the disk is full\"").count(), 2);
    assert!(!shown.contains("frame"), "the alternate form has the backtrace: {shown}");
}

#[tokio::test]
async fn the_live_tasks_can_be_iterated_by_reference() {
    #[supervised(name = "texts: lives")]
    async fn lives() -> Result<(), TaskError> {
        pending().await
    }

    let pool = Pool::new(1);
    pool.spawn(lives).await.unwrap();
    let live = tasks();
    let names: Vec<_> = (&live).into_iter().map(|task| task.name).collect();
    assert!(names.contains(&"texts: lives"), "{names:?}");
    assert_eq!((names.len(), live.is_empty()), (live.len(), false));
}
