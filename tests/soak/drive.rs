//! The callers of the functions: a driver draws one operation after another until it is stopped.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::task::yield_now;
use tokio_supervised::{
    CancellationToken, Group, Outcome, Pool, TrySpawnError, map, set_limit, task,
};

use crate::{
    counters,
    work::{blocks, call, foreign, item, job, member, restarted},
};
use testkit::{Failed, random::Random};

pub(crate) async fn until(stop: CancellationToken, pool: Pool, mut random: Random) {
    while !stop.is_cancelled() {
        match random.below(20) {
            0..5 => called(&mut random).await,
            5..7 => dropped(&mut random).await,
            7..10 => mapped(&mut random).await,
            10..12 => grouped(&mut random).await,
            12..17 => pooled(&pool, &mut random).await,
            17 => drained(&mut random).await,
            18 => _ = restarting(&mut random).await,
            _ => resized(&pool, &mut random),
        }
        // A call that is ready at once does not yield.
        yield_now().await;
    }
}

/// How a call ended for its caller.
fn outcome_of<T>(result: &Result<T, Failed>) -> Outcome {
    result.as_ref().err().map_or(Outcome::Ok, Failed::outcome)
}

async fn turns(random: &mut Random, most: usize) {
    for _ in 0..random.below(most) {
        yield_now().await;
    }
}

/// To its end, or until its token fires.
async fn called(random: &mut Random) {
    let token = CancellationToken::new();
    let mut run = pin!(call(&token, random.fork()));
    let result = if random.below(2) == 0 {
        run.await
    } else {
        tokio::select! {
            biased;
            result = &mut run => result,
            () = turns(random, 4) => {
                token.cancel();
                run.await
            }
        }
    };
    counters::CALLS.ended(outcome_of(&result));
}

/// Its owner drops it.
async fn dropped(random: &mut Random) {
    let token = CancellationToken::new();
    let run = call(&token, random.fork());
    tokio::select! {
        biased;
        result = run => counters::CALLS.ended(outcome_of(&result)),
        () = turns(random, 4) => counters::CALLS.ended(Outcome::Dropped),
    }
}

async fn mapped(random: &mut Random) {
    let token = CancellationToken::new();
    let items: Vec<_> = (0..random.below(12)).map(|_| random.fork()).collect();
    let work = map(&token, items, item).limit(1 + random.below(5));
    match random.below(5) {
        0 | 1 => _ = work.settled().await,
        2 => _ = work.await,
        3 => {
            tokio::select! {
                _ = work => {}
                () = turns(random, 8) => {}
            }
        }
        _ => {
            tokio::join!(work.settled(), async {
                turns(random, 8).await;
                token.cancel();
            });
        }
    }
}

async fn grouped(random: &mut Random) {
    let token = CancellationToken::new();
    let mut group = Group::new(&token).limit(1 + random.below(4));
    if random.below(3) == 0 {
        group = group.until_first_exit();
    }
    for _ in 0..random.below(8) {
        let part = random.fork();
        _ = match random.below(4) {
            0 => {
                group.spawn_blocking("soak: blocks", move |_| blocks(&counters::BLOCKS, part)).await
            }
            1 => group.spawn(task!("soak: foreign", timeout = "5ms", |_| foreign(part))).await,
            _ => group.spawn(move |token| member(token, part)).await,
        };
    }
    match random.below(4) {
        0 => drop(group),
        1 => {
            token.cancel();
            _ = group.join().await;
        }
        _ => _ = group.join().await,
    }
}

/// The round's pool accepts tasks until its drain, which starts when the drivers have stopped.
async fn pooled(pool: &Pool, random: &mut Random) {
    let part = random.fork();
    match random.below(5) {
        4 => {
            let blocks = move |_| blocks(&counters::BLOCKS_IN_A_POOL, part);
            pool.spawn_blocking("soak: blocks in a pool", blocks)
                .await
                .expect("the gate or pool is open");
        }
        0 => {
            drop(pool.spawn(move |token| job(token, part)).await.expect("the gate or pool is open"))
        }
        1 => match pool.try_spawn(move |token| job(token, part)) {
            Ok(_) | Err(TrySpawnError::Full) => {}
            Err(error) => panic!("the pool is open: {error}"),
        },
        2 => {
            let slot = pool.reserve().await.expect("the gate or pool is open");
            turns(random, 3).await;
            slot.spawn(move |token| job(token, part));
        }
        _ => {
            tokio::select! {
                spawned = pool.spawn(move |token| job(token, part)) => {
                    spawned.expect("the gate or pool is open");
                }
                () = turns(random, 3) => {}
            }
        }
    }
}

/// A separate pool, whose drain may have to abort, or which is dropped without one.
async fn drained(random: &mut Random) {
    let pool = Pool::new(1 + random.below(3));
    for _ in 0..random.below(5) {
        let part = random.fork();
        pool.spawn(move |token| job(token, part)).await.expect("the gate or pool is open");
    }
    match random.below(4) {
        0 => drop(pool),
        grace => _ = pool.drain(Duration::from_millis(2 * grace as u64)).await,
    }
}

/// Counts the calls, from which the expected number of restarts follows.
async fn restarting(random: &mut Random) -> Result<u64, Failed> {
    counters::RESTARTED.calls.fetch_add(1, Relaxed);
    let runs = Arc::new(AtomicU64::new(random.next()));
    restarted(CancellationToken::new(), runs).await
}

fn resized(pool: &Pool, random: &mut Random) {
    pool.set_limit(1 + random.below(16)).expect("the limit is not 0");
    let (name, most) = [("soak: call", 8), ("soak: item", 6), ("soak: job", 12)][random.below(3)];
    // Only a function that has run has a limit that can be changed.
    _ = set_limit(name, 1 + random.below(most));
}
