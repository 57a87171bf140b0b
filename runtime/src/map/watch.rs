//! The thread that watches maps whose runs may compute.
//!
//! While a run computes, its map cannot start another worker: no run is pending, none ends, and the map's own future
//! sleeps. This thread checks such maps every few milliseconds and wakes the future of a map that has read nothing
//! since the last check. A timer of the runtime is not enough: a runtime may have none, or a paused one.
//!
//! There is one thread for the process. It is started by the first map that needs it, and parks while there is no map
//! to watch.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, Weak},
    thread::{self, Thread},
    time::Duration,
};

/// A map that the thread watches.
pub(crate) trait Watched: Send + Sync {
    /// Checks the map. Returns false if it need not be watched any more. `last_check` is how many items had been read
    /// at the last check.
    fn check(&self, last_check: &mut usize) -> bool;
}

/// The time between two checks: short after a map was added, then twice as long each time.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(8);

/// Checks without any map before the thread parks: another map would have to wake it.
const IDLE_CHECKS: u32 = 100;

struct Watcher {
    added: Vec<(Weak<dyn Watched>, usize)>,
    thread: ThreadState,
}

enum ThreadState {
    None,
    Running,
    Parked(Thread),
}

static WATCHER: Mutex<Watcher> =
    Mutex::new(Watcher { added: Vec::new(), thread: ThreadState::None });

fn lock() -> MutexGuard<'static, Watcher> {
    WATCHER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches a map until its check returns false or it is dropped.
pub(crate) fn add(watched: Weak<dyn Watched>) {
    let mut watcher = lock();
    watcher.added.push((watched, 0));
    match std::mem::replace(&mut watcher.thread, ThreadState::Running) {
        ThreadState::Running => {}
        ThreadState::Parked(thread) => thread.unpark(),
        ThreadState::None => {
            let name = "supervised-watch".to_owned();
            if thread::Builder::new().name(name).spawn(run).is_err() {
                // Maps whose runs compute stay on fewer threads. The next map tries again.
                watcher.added.clear();
                watcher.thread = ThreadState::None;
            }
        }
    }
}

fn run() {
    let mut all = Vec::new();
    let (mut pause, mut idle) = (SHORTEST, 0);
    loop {
        let mut watcher = lock();
        if !watcher.added.is_empty() {
            all.append(&mut watcher.added);
            (pause, idle) = (SHORTEST, 0);
        }
        if all.is_empty() && idle == IDLE_CHECKS {
            idle = 0;
            watcher.thread = ThreadState::Parked(thread::current());
            drop(watcher);
            thread::park();
            continue;
        }
        drop(watcher);
        idle += u32::from(all.is_empty());
        all.retain_mut(|(watched, last_check): &mut (Weak<dyn Watched>, usize)| {
            watched.upgrade().is_some_and(|watched| watched.check(last_check))
        });
        #[expect(clippy::disallowed_methods, reason = "a separate thread, outside all runtimes")]
        thread::sleep(pause);
        pause = (2 * pause).min(LONGEST);
    }
}
