//! The thread that watches maps whose runs may compute.
//!
//! A run that computes for long leaves no moment at which its map could start another worker: no run pends, none ends,
//! and the map's own future sleeps. This thread looks at such maps every few milliseconds and wakes the future of one
//! that has read nothing since. A timer of the runtime would not do: a runtime may have none, or a paused one.
//!
//! There is one thread for the process. It is started by the first map that needs it, and parks while there is no map
//! to watch.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, Weak},
    thread::{self, Thread},
    time::Duration,
};

/// What is watched.
pub(super) trait Watched: Send + Sync {
    /// Looks at it; false if it is not to be watched any more.
    fn look(&self, seen: &mut Seen) -> bool;
}

/// What the last look saw.
#[derive(Default)]
pub(super) struct Seen {
    /// How many items had been read.
    pub(super) items_read: usize,
}

/// Time between two looks: short after a map was added, then twice as long each time.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(8);

/// Looks without any map before the thread parks: another map would have to wake it.
const IDLE_LOOKS: u32 = 100;

struct Watch {
    added: Vec<(Weak<dyn Watched>, Seen)>,
    thread: State,
}

enum State {
    None,
    Runs,
    Parked(Thread),
}

static WATCH: Mutex<Watch> = Mutex::new(Watch { added: Vec::new(), thread: State::None });

fn watch() -> MutexGuard<'static, Watch> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches it until it says otherwise, or is gone.
pub(super) fn add(watched: Weak<dyn Watched>) {
    let mut watch = watch();
    watch.added.push((watched, Seen::default()));
    match std::mem::replace(&mut watch.thread, State::Runs) {
        State::Runs => {}
        State::Parked(thread) => thread.unpark(),
        State::None => {
            let name = "supervised-watch".to_owned();
            if thread::Builder::new().name(name).spawn(look_for_ever).is_err() {
                // Maps whose runs compute stay on fewer threads. The next map tries again.
                watch.added.clear();
                watch.thread = State::None;
            }
        }
    }
}

fn look_for_ever() {
    let mut all = Vec::new();
    let (mut pause, mut idle) = (SHORTEST, 0);
    loop {
        let mut watch = watch();
        if !watch.added.is_empty() {
            all.append(&mut watch.added);
            (pause, idle) = (SHORTEST, 0);
        }
        if all.is_empty() && idle == IDLE_LOOKS {
            idle = 0;
            watch.thread = State::Parked(thread::current());
            drop(watch);
            thread::park();
            continue;
        }
        drop(watch);
        idle += u32::from(all.is_empty());
        all.retain_mut(|(watched, seen): &mut (Weak<dyn Watched>, Seen)| {
            watched.upgrade().is_some_and(|watched| watched.look(seen))
        });
        #[expect(clippy::disallowed_methods, reason = "a thread of its own, outside all runtimes")]
        thread::sleep(pause);
        pause = (2 * pause).min(LONGEST);
    }
}
