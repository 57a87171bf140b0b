//! Recursion and large bodies fit into the stack of a worker.

use std::{future::Future, hint::black_box};

use tokio::runtime::Builder;
use tokio_supervised::{CancellationToken, Group, Pool, TaskError, map, shield, supervised, task};

use testkit::recursion::{self, bytes_of_a_level};
use testkit::{fixture::child_passes, watchdog::WATCHDOG};

/// In a debug build, in bytes: the stack of a plain call depends on the size of its error, which both have.
/// `cargo run --release -p supervised-instructions --bin recursion` measures an optimized one, in which a call takes at most
/// twice the stack of a plain one.
#[test]
fn a_recursive_call_adds_a_bounded_number_of_bytes() {
    let plain = bytes_of_a_level(recursion::plain);
    for (most, call) in [
        (520, recursion::boxed as fn(_, _) -> _),
        (700, recursion::converted),
        (1_290, recursion::restarting),
        (1_370, recursion::both),
    ] {
        let added = bytes_of_a_level(call) - plain;
        println!("a level takes {added} bytes more than {plain}, at most {most}");
        assert!(added <= most, "{added} bytes of the stack more than {plain}");
    }
}

const LARGE: usize = 96 << 10;

#[supervised(name = "depth: large", limit = 4)]
async fn large(_: u32) -> Result<usize, TaskError> {
    let held = [1_u8; LARGE];
    tokio::task::yield_now().await;
    Ok(black_box(&held).iter().map(|byte| usize::from(*byte)).sum())
}

/// Runs `body` on a worker with tokio's default stack size.
fn on_a_worker(body: impl Future<Output = ()> + Send + 'static) {
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(1).thread_stack_size(2 << 20).enable_all();
    runtime.build().unwrap().block_on(async { tokio::spawn(body).await.unwrap() });
}

#[test]
fn a_large_body_in_a_group_fits_the_stack_of_a_worker() {
    child_passes("composition::depth::fixture_large_in_a_group");
}

#[test]
fn a_large_body_in_a_pool_fits_the_stack_of_a_worker() {
    child_passes("composition::depth::fixture_large_in_a_pool");
}

#[test]
fn a_large_body_in_a_map_fits_the_stack_of_a_worker() {
    child_passes("composition::depth::fixture_large_in_a_map");
}

#[test]
fn a_large_body_called_inline_fits_the_stack_of_a_worker() {
    child_passes("composition::depth::fixture_large_inline");
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_large_in_a_group() {
    on_a_worker(async {
        let group: Group<usize, TaskError> = Group::new(&CancellationToken::new()).limit(2);
        for n in 0..8 {
            group.spawn(move |token| large(token, n)).await;
        }
        group
            .spawn(task!("depth: task", |token| -> Result<usize, TaskError> {
                large(&token, 8).await
            }))
            .await;
        assert_eq!(group.join().await.unwrap(), [LARGE; 9]);
    });
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_large_in_a_pool() {
    on_a_worker(async {
        let pool = Pool::new(2);
        for n in 0..8 {
            pool.spawn(move |token| large(token, n)).await.unwrap();
        }
        pool.reserve().await.unwrap().spawn(|token| large(token, 8));
        pool.drain(WATCHDOG).await.unwrap();
    });
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_large_in_a_map() {
    on_a_worker(async {
        let token = CancellationToken::new();
        assert_eq!(map(&token, 0..8, large).await.unwrap(), [LARGE; 8]);
        let ends = map(&token, 0..8, large).settled().await;
        assert!(ends.into_iter().all(|end| end.unwrap() == LARGE));
    });
}

#[test]
#[ignore = "fixture of another test"]
fn fixture_large_inline() {
    on_a_worker(async {
        let token = CancellationToken::new();
        assert_eq!(large(&token, 0).await.unwrap(), LARGE);
        let shielded = shield(WATCHDOG, |token| async move { large(&token, 0).await });
        assert_eq!(shielded.await.unwrap(), LARGE);
    });
}
