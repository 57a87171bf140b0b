//! All operations at once, on several threads: the counters stay exact and nothing leaks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::task::{JoinError, JoinSet};
use tokio_supervised::{
    CancellationToken, Group, GroupHandle, Outcome, TaskError, map, supervised,
};

use testkit::{Alive, in_time, stats_of, turn};

/// A random sequence that is the same in every run of the test.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

async fn turns(dice: &mut Dice) {
    for _ in 0..dice.below(6) {
        turn().await;
    }
}

#[supervised(limit = 3, name = "stress: leaf", timeout = "2ms")]
async fn leaf(mut dice: Dice, alive: Alive) -> Result<u64, TaskError> {
    let _alive = alive;
    turns(&mut dice).await;
    match dice.below(30) {
        0 => panic!("a drawn panic"),
        1 => std::future::pending().await,
        2 => tokio::time::sleep(Duration::from_millis(1)).await,
        _ => {}
    }
    Ok(dice.0)
}

#[supervised(name = "stress: branch")]
async fn branch(
    token: &CancellationToken,
    mut dice: Dice,
    alive: Alive,
    siblings: GroupHandle<u64, TaskError>,
) -> Result<u64, TaskError> {
    let items: Vec<_> = (0..dice.below(8)).map(|n| (Dice(dice.0 + n), alive.another())).collect();
    let work = map(token, items, |token, (dice, alive)| leaf(token, dice, alive))
        .limit(1 + dice.below(4) as usize);
    match dice.below(4) {
        0 => drop(work),
        1 => drop(work.settled().await),
        2 => {
            tokio::select! {
                _ = work => {}
                () = turns(&mut dice) => {}
            }
        }
        _ => drop(work.await?),
    }
    let (mut patience, sibling) = (dice.clone(), alive.another());
    // Its own slot may be the last one: the wait must not be endless.
    tokio::select! {
        _ = siblings.spawn(move |token| leaf(token, dice, sibling)) => {}
        () = turns(&mut patience) => {}
    }
    Ok(0)
}

async fn scope(mut dice: Dice, alive: Arc<AtomicUsize>) {
    let token = CancellationToken::new();
    let _fires = token.clone().drop_guard();
    let mut group = Group::new(&token).limit(1 + dice.below(5) as usize);
    if dice.below(3) == 0 {
        group = group.until_first_exit();
    }
    let handle = group.handle();
    for _ in 0..dice.below(10) {
        let (dice, alive, handle) =
            (Dice(dice.below(u64::MAX)), Alive::new(&alive), group.handle());
        group.spawn(move |token| branch(token, dice, alive, handle)).await;
    }
    match dice.below(4) {
        0 => drop(group),
        1 => {
            token.cancel();
            _ = group.join().await;
        }
        _ => _ = group.join().await,
    }
    // After the join or the drop, a handle spawns nothing.
    let (dice, late) = (dice.clone(), Alive::new(&alive));
    handle.spawn(move |token| leaf(token, dice, late)).await.unwrap_err();
}

/// Nothing unwinds out of a scope; some were aborted.
fn assert_no_panic(ended: Option<Result<(), JoinError>>) {
    assert!(!ended.is_some_and(|ended| ended.is_err_and(|error| error.is_panic())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_scopes_that_fail_panic_or_are_aborted_leak_nothing() {
    let alive = Arc::new(AtomicUsize::new(0));
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut scopes = JoinSet::new();
    let mut aborts = Vec::new();
    for _ in 0..ROUNDS {
        let handle = scopes.spawn(scope(Dice(dice.below(u64::MAX)), alive.clone()));
        if dice.below(5) == 0 {
            aborts.push(handle);
        }
        if dice.below(7) == 0 {
            aborts.drain(..).for_each(|handle| handle.abort());
            turn().await;
        }
        while scopes.len() > 50 {
            assert_no_panic(in_time(scopes.join_next()).await);
        }
    }
    while let Some(ended) = in_time(scopes.join_next()).await {
        assert_no_panic(Some(ended));
    }
    // Aborted tasks end by themselves: nothing waits for them.
    in_time(async {
        while alive.load(SeqCst) > 0 || stats_of("stress: leaf").running > 0 {
            turn().await;
        }
    })
    .await;
    for name in ["stress: leaf", "stress: branch"] {
        let stats = stats_of(name);
        let ended: u64 = Outcome::ALL.iter().map(|outcome| stats.ended(*outcome)).sum();
        assert_eq!((stats.running, stats.waiting, stats.started), (0, 0, ended), "{name}");
    }
    // All three permits are free.
    let token = CancellationToken::new();
    let mut last: Vec<_> =
        (0..3).map(|_| Box::pin(leaf(&token, Dice(1), Alive::new(&alive)))).collect();
    for run in &mut last {
        _ = testkit::poll_once(run.as_mut());
    }
    let stats = stats_of("stress: leaf");
    assert_eq!(stats.waiting, 0, "every permit is free");
}

const ROUNDS: u32 = 400;
