//! Drives the runtime of a test after its body: it continues during the leak check, and shuts down in the background.
//!
//! The driver runs on a separate thread. A task that never returns, or whose drop blocks, holds up that thread and not
//! the test.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use tokio::runtime::Runtime;

/// The longest pause between two turns of the runtime.
const LONGEST: Duration = Duration::from_millis(1);

pub(crate) struct Driver {
    stop: Arc<AtomicBool>,
    ended: Receiver<()>,
}

impl Driver {
    /// Drives the tasks of the runtime.
    pub(crate) fn start(runtime: Runtime) -> Self {
        Self::spawn(runtime, false)
    }

    /// Shuts the runtime down, and waits for its tasks to be dropped, but no longer than `limit`.
    pub(crate) fn shut_down(runtime: Runtime, limit: Duration) {
        Self::spawn(runtime, true).stop(limit);
    }

    fn spawn(runtime: Runtime, stop: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(stop));
        let (done, ended) = mpsc::channel::<()>();
        let runtime = Arc::new(Mutex::new(Some(runtime)));
        let spawned = thread::Builder::new().name("supervised-test".to_owned()).spawn({
            let (stop, runtime) = (stop.clone(), runtime.clone());
            move || {
                let _done = done;
                if let Some(runtime) = take(&runtime) {
                    runtime.block_on(turn(&stop));
                    runtime.shutdown_background();
                }
            }
        });
        if spawned.is_err() {
            // A drop would wait for all its threads.
            take(&runtime).into_iter().for_each(Runtime::shutdown_background);
        }
        Self { stop, ended }
    }

    /// Shuts the runtime down, and waits for its tasks to be dropped, but no longer than `limit`.
    pub(crate) fn stop(self, limit: Duration) {
        self.stop.store(true, Ordering::Relaxed);
        // No value is sent: the end of the thread, even by a panic, drops the sender and ends the wait.
        _ = self.ended.recv_timeout(limit);
    }
}

fn take(runtime: &Mutex<Option<Runtime>>) -> Option<Runtime> {
    runtime.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Runs turn by turn: a parked runtime lets paused time advance.
#[expect(
    clippy::disallowed_methods,
    reason = "a timer would be one that paused time runs ahead to"
)]
async fn turn(stop: &AtomicBool) {
    let mut pause = Duration::from_micros(1);
    while !stop.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST);
    }
}
