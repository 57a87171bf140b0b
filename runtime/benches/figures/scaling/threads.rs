//! One function on more and more threads.

use std::hint::black_box;

use tokio::task::yield_now;
use tokio_supervised::{CancellationToken, TaskError, supervised};

use super::curve;
use crate::{on_threads::on_threads, settings::Settings};

const THREADS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

#[supervised]
async fn counted(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

/// Each pending poll checks the token, which takes its lock.
#[supervised]
async fn pending_often(polls: u64) -> Result<(), TaskError> {
    for _ in 0..polls {
        yield_now().await;
    }
    Ok(())
}

/// Work that shares nothing, and costs as much.
async fn alone(n: u64) -> u64 {
    (0..64).fold(n, |sum, _| black_box(sum.wrapping_mul(3)))
}

pub(super) fn run(settings: &Settings) {
    // With more threads than cores, each makes fewer calls: the total stays that of all cores.
    let calls = 4 * settings.calls;
    let of_each = |threads: usize| calls * threads.min(settings.cores) as u64 / threads as u64;
    let what = "threads, each with a loop and its own token: one run";
    curve::draw(what, settings, calls, &THREADS, |threads| {
        Box::new(move || {
            on_threads(threads, || async {
                let token = CancellationToken::new();
                for n in 0..of_each(threads) {
                    _ = black_box(counted(&token, n).await);
                }
            });
        })
    });
    let polls = settings.calls;
    let polls_of_each =
        |threads: usize| polls * threads.min(settings.cores) as u64 / threads as u64;
    for (what, is_shared) in [
        ("threads, each with a run and its own token: one pending poll", false),
        ("threads, each with a run, one token for all: one pending poll", true),
    ] {
        curve::draw(what, settings, polls, &THREADS, |threads| {
            Box::new(move || {
                let shared = CancellationToken::new();
                on_threads(threads, || async {
                    let own = CancellationToken::new();
                    let token = if is_shared { &shared } else { &own };
                    let ended = pending_often(token, polls_of_each(threads)).await;
                    ended.expect("no run fails");
                });
            })
        });
    }
    let what = "threads, the same without sharing: the machine's own scaling";
    curve::draw(what, settings, calls, &THREADS, |threads| {
        Box::new(move || {
            on_threads(threads, || async {
                for n in 0..of_each(threads) {
                    _ = black_box(alone(n).await);
                }
            });
        })
    });
}
