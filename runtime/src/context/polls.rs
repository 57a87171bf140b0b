//! Since when each thread polls a task, for a thread that reports polls that block their worker.
//!
//! Invariants
//!
//! 1. Only its own thread writes the start of a thread's poll. Otherwise a poll could hide that of another thread. A
//!    reader may see it one poll late.
//! 2. The end of a poll puts back the start of the poll around it, as of a task that drives a `LocalSet`, also if it
//!    unwinds. Otherwise the rest of the outer poll is not watched, or a thread without a poll appears to block.
//!    (the test below)
//! 3. While no one watches, a poll only loads a flag, and no thread is listed.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use crate::{
    clock::{AtomicTicks, Ticks},
    context::tree::OnThread,
};

/// How many watches there are.
static WATCHES: AtomicUsize = AtomicUsize::new(0);

/// The threads that have polled a task while a watch was there.
static THREADS: Mutex<Vec<Weak<ThreadPolls>>> = Mutex::new(Vec::new());

std::thread_local! {
    static OWN: Arc<ThreadPolls> = ThreadPolls::of_this_thread();
}

/// The current poll of one thread.
pub(crate) struct ThreadPolls {
    since: AtomicTicks,
    /// The start of the last poll that was reported.
    reported: Mutex<Ticks>,
    pub(crate) thread: SystemThread,
}

impl ThreadPolls {
    fn of_this_thread() -> Arc<Self> {
        let this = Arc::new(Self {
            since: AtomicTicks::new(Ticks::NEVER),
            reported: Mutex::new(Ticks::NEVER),
            thread: SystemThread::current(),
        });
        let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| thread.strong_count() > 0);
        threads.push(Arc::downgrade(&this));
        drop(threads);
        this
    }

    /// That of the current thread.
    #[cfg(all(test, not(supervised_loom)))]
    pub(crate) fn own() -> Weak<Self> {
        OWN.with(Arc::downgrade)
    }

    /// The start of the current poll, if there is one.
    pub(crate) fn since(&self) -> Option<Ticks> {
        let since = self.since.load();
        (!since.is_never()).then_some(since)
    }

    /// Records that the poll that started then is reported. Returns whether it was not reported before.
    pub(crate) fn report_once(&self, since: Ticks) -> bool {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *reported, since) != since
    }
}

/// A thread as Linux knows it. Other systems say nothing.
pub(crate) struct SystemThread {
    /// `/proc/PID/task/TID`
    folder: Option<PathBuf>,
}

impl SystemThread {
    pub(crate) fn current() -> Self {
        let link = cfg!(target_os = "linux").then(|| std::fs::read_link("/proc/thread-self").ok());
        Self { folder: link.flatten().map(|thread| PathBuf::from("/proc").join(thread)) }
    }

    /// Its number, for a debugger.
    pub(crate) fn number(&self) -> Option<u64> {
        self.folder.as_ref()?.file_name()?.to_str()?.parse().ok()
    }

    /// How it has spent its time since it started.
    pub(crate) fn times(&self) -> Option<Times> {
        // Nanoseconds on a processor, nanoseconds of waiting for one, time slices.
        let text = std::fs::read_to_string(self.folder.as_ref()?.join("schedstat")).ok()?;
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        let (ran, waited, slices) = (next()?, next()?, next()?);
        // A thread has had a slice since it started: a system that does not count says zero.
        (slices > 0).then_some(Times {
            ran: Duration::from_nanos(ran),
            waited: Duration::from_nanos(waited),
        })
    }

    /// Whether it runs or waits for a processor. Otherwise it sleeps: in a system call, for a lock.
    pub(crate) fn is_runnable(&self) -> bool {
        let stat = self.folder.as_ref().and_then(|folder| {
            // The name before the state may contain anything.
            let text = std::fs::read_to_string(folder.join("stat")).ok()?;
            Some(text.rsplit_once(") ")?.1.starts_with('R'))
        });
        stat.unwrap_or(false)
    }
}

/// How a thread has spent its time.
#[derive(Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) ran: Duration,
    /// Waiting for a processor. A wait that has not ended is not part of it.
    pub(crate) waited: Duration,
}

impl Times {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            ran: self.ran.saturating_sub(before.ran),
            waited: self.waited.saturating_sub(before.waited),
        }
    }
}

/// Polls are watched as long as it exists.
pub(crate) struct Watch(());

impl Watch {
    pub(crate) fn start() -> Self {
        WATCHES.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// The threads that may be in a poll.
    pub(crate) fn threads(&self) -> Vec<Arc<ThreadPolls>> {
        let threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        threads.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A poll that is watched, until it is dropped.
pub(crate) struct WatchedPoll {
    /// The start of the poll around it.
    around: Ticks,
}

impl WatchedPoll {
    /// A poll of this thread starts now.
    #[inline]
    pub(crate) fn start(now: Ticks, thread: OnThread) -> Option<Self> {
        let is_watched = WATCHES.load(Ordering::Relaxed) > 0;
        // A thread for blocking work is there to be blocked.
        (is_watched && thread != OnThread::Blocking).then(|| Self::start_watched(now))?
    }

    #[inline(never)]
    fn start_watched(now: Ticks) -> Option<Self> {
        // `Err`: the thread is ending.
        OWN.try_with(|own| {
            let around = own.since.load();
            own.since.store(now);
            Self { around }
        })
        .ok()
    }
}

impl Drop for WatchedPoll {
    fn drop(&mut self) {
        _ = OWN.try_with(|own| own.since.store(self.around));
    }
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    fn own() -> Option<Ticks> {
        OWN.with(|own| own.since())
    }

    #[test]
    fn the_end_of_a_poll_restores_the_one_around_it() {
        let watch = Watch::start();
        let (first, second) = (Ticks::now(), Ticks::now());
        let outer = WatchedPoll::start(first, OnThread::Worker);
        assert!(own() == Some(first));
        let unwound = std::panic::catch_unwind(|| {
            let _inner = WatchedPoll::start(second, OnThread::Worker);
            assert!(own() == Some(second));
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(unwound.is_err() && own() == Some(first));
        drop(outer);
        assert!(own().is_none());
        let this = OWN.with(Arc::clone);
        assert!(watch.threads().iter().any(|thread| Arc::ptr_eq(thread, &this)));
    }

    #[test]
    fn a_poll_is_reported_once() {
        let thread = ThreadPolls::of_this_thread();
        let since = Ticks::now();
        assert!(thread.report_once(since));
        assert!(!thread.report_once(since));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_says_how_a_thread_spends_its_time() {
        // Some sandboxes do not have the file; where it is, it has the number.
        let thread = SystemThread::current();
        if thread.folder.as_ref().is_some_and(|folder| folder.join("schedstat").exists()) {
            assert!(thread.times().is_some() && thread.number().is_some());
            assert!(thread.is_runnable());
        }
    }
}
