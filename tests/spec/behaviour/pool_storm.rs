//! Pools under all operations at once, on several threads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio_supervised::{
    CancellationToken, Outcome, Pool, Slot, TaskError, TrySpawnError, Unfinished, supervised,
};

use testkit::{in_time, outcomes_of, stats_of, turn};

const LONG: Duration = Duration::from_secs(60);

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counted;

impl Counted {
    fn new() -> Self {
        PEAK.fetch_max(RUNNING.fetch_add(1, SeqCst) + 1, SeqCst);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, SeqCst);
    }
}

#[supervised(name = "pool storm: job")]
async fn job(n: usize) -> anyhow::Result<usize> {
    let _counted = Counted::new();
    for _ in 0..n % 3 {
        turn().await;
    }
    match n % 11 {
        0 => panic!("every eleventh fails"),
        1 => anyhow::bail!("the twelfth"),
        _ => Ok(n),
    }
}

/// Spawns with every method until the pool is closed, and counts the accepted tasks.
async fn feed(pool: Pool, seed: usize, accepted: Arc<AtomicUsize>) {
    for n in (seed..).step_by(7) {
        let taken = match n % 4 {
            0 => pool.spawn(|token| job(token, n)).await.is_ok(),
            1 => match pool.try_spawn(|token| job(token, n)) {
                Err(TrySpawnError::Full) => {
                    turn().await;
                    continue;
                }
                taken => taken.is_ok(),
            },
            2 => match pool.reserve().await {
                Ok(slot) => {
                    turn().await;
                    slot.spawn(|token| job(token, n));
                    true
                }
                Err(_) => false,
            },
            _ => match pool.reserve().await {
                Ok(slot) => {
                    drop(slot);
                    continue;
                }
                Err(_) => false,
            },
        };
        if !taken {
            break;
        }
        accepted.fetch_add(1, SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accepted_tasks_run_and_never_exceed_the_slots() {
    let accepted = Arc::new(AtomicUsize::new(0));
    for round in 1..=40 {
        let pool = Pool::new(5);
        let feeder = |seed| tokio::spawn(feed(pool.clone(), round + seed, accepted.clone()));
        let feeders: Vec<_> = (0..4).map(feeder).collect();
        in_time(async {
            for limit in [5, 2, 4, 1, 3].into_iter().cycle() {
                pool.set_limit(limit).unwrap();
                assert!(pool.len() <= 5);
                turn().await;
                if accepted.load(SeqCst) >= round * 50 {
                    break;
                }
            }
        })
        .await;
        in_time(pool.drain(LONG)).await.unwrap();
        assert!(pool.is_empty());
        for feeder in feeders {
            in_time(feeder).await.unwrap();
        }
    }
    assert!(PEAK.load(SeqCst) <= 5, "{PEAK:?}");
    assert_eq!(RUNNING.load(SeqCst), 0);
    let ended: u64 = outcomes_of("pool storm: job")
        .iter()
        .filter(|(outcome, _)| matches!(outcome, Outcome::Ok | Outcome::Error | Outcome::Panicked))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(ended, accepted.load(SeqCst) as u64, "accepted and finished");
    let stats = stats_of("pool storm: job");
    assert_eq!((stats.running, stats.waiting), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn drains_and_last_handles_that_race_with_spawns_leak_nothing() {
    #[supervised(name = "pool storm: raced", grace = "none", allow(unused_token))]
    async fn raced(token: &CancellationToken, _alive: Arc<()>) -> Result<(), TaskError> {
        let _ = token;
        std::future::pending().await
    }

    let alive = Arc::new(());
    for round in 0..200 {
        let pool = Pool::new(3);
        let spawner = tokio::spawn({
            let (pool, alive) = (pool.clone(), alive.clone());
            async move {
                loop {
                    let alive = alive.clone();
                    if pool.spawn(|token| raced(token, alive)).await.is_err() {
                        break;
                    }
                }
            }
        });
        for _ in 0..round % 5 {
            turn().await;
        }
        if round % 2 == 0 {
            let (first, second) =
                tokio::join!(pool.drain(Duration::ZERO), pool.drain(Duration::from_millis(2)));
            drop((first, second));
            in_time(spawner).await.unwrap();
        } else {
            spawner.abort();
            _ = in_time(spawner).await;
        }
        drop(pool);
        in_time(async {
            while Arc::strong_count(&alive) > 1 {
                turn().await;
            }
        })
        .await;
    }
}

#[test]
fn pools_slots_and_spawns_move_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    fn sent<T: Send>(_: impl FnOnce(&'static Pool) -> T) {}
    shared::<Pool>();
    shared::<Slot>();
    shared::<Unfinished>();
    sent(|pool| pool.drain(LONG));
    sent(|pool| pool.reserve());
    sent(|pool| pool.spawn(|token| job(token, 1)));
}
