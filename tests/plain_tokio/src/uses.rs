//! One use of each entry.

use std::{future::ready, thread, time::Duration};

use tokio::{
    runtime::{Handle, LocalRuntime, Runtime},
    sync::mpsc,
    task::{self, JoinSet, LocalSet},
};
use tokio_util::task::{JoinMap, JoinQueue, LocalPoolHandle, TaskTracker};

fn by_itself(local: &LocalSet) {
    tokio::spawn(ready(()));
    task::spawn_local(ready(()));
    task::block_in_place(|| ());
    local.spawn_local(ready(()));
    thread::sleep(Duration::ZERO);
}

fn by_a_runtime(handle: &Handle, runtime: &Runtime, thread: &LocalRuntime, local: &LocalSet) {
    handle.spawn(ready(()));
    handle.block_on(ready(()));
    runtime.spawn(ready(()));
    thread.spawn_local(ready(()));
    local.block_on(runtime, ready(()));
    futures::executor::block_on(ready(()));
}

fn into_a_set(tasks: &mut JoinSet<()>, handle: &Handle, local: &LocalSet) {
    tasks.spawn(ready(()));
    tasks.spawn_on(ready(()), handle);
    tasks.spawn_local(ready(()));
    tasks.spawn_local_on(ready(()), local);
    tasks.spawn_blocking(|| ());
    tasks.spawn_blocking_on(|| (), handle);
}

fn into_a_map(tasks: &mut JoinMap<u32, ()>, handle: &Handle, local: &LocalSet) {
    tasks.spawn(0, ready(()));
    tasks.spawn_on(0, ready(()), handle);
    tasks.spawn_local(0, ready(()));
    tasks.spawn_local_on(0, ready(()), local);
    tasks.spawn_blocking(0, || ());
    tasks.spawn_blocking_on(0, || (), handle);
}

fn into_a_queue(tasks: &mut JoinQueue<()>, handle: &Handle) {
    tasks.spawn(ready(()));
    tasks.spawn_on(ready(()), handle);
    tasks.spawn_local(ready(()));
    tasks.spawn_blocking(|| ());
    tasks.spawn_blocking_on(|| (), handle);
}

fn into_a_tracker(tasks: &TaskTracker, handle: &Handle, local: &LocalSet) {
    tasks.spawn(ready(()));
    tasks.spawn_on(ready(()), handle);
    tasks.spawn_local(ready(()));
    tasks.spawn_local_on(ready(()), local);
    tasks.spawn_blocking(|| ());
    tasks.spawn_blocking_on(|| (), handle);
}

fn onto_a_thread(threads: &LocalPoolHandle) {
    threads.spawn_pinned(|| ready(()));
    threads.spawn_pinned_by_idx(|| ready(()), 0);
}

fn without_bound() {
    _ = mpsc::unbounded_channel::<()>();
    _ = futures::channel::mpsc::unbounded::<()>();
}

/// The expansion of tokio's macros is no use by the author: an entry must not flag each of them.
#[tokio::main]
async fn entry() {}
