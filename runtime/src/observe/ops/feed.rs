//! The snapshots that all viewers share.
//!
//! Invariants, checked by the tests below and by `tests/ops/http/streams.rs`
//!
//! 1. One thread takes the snapshots, and only while someone listens. Otherwise each viewer would cost a snapshot.
//! 2. After each snapshot the thread pauses for [`rest`], which keeps it below a tenth of a core. It ends only after a
//!    pause, or viewers that come and go would take more snapshots.
//! 3. A viewer that arrives during a pause gets the last snapshot at once. The thread decides to end under the lock
//!    that a viewer takes to subscribe. Otherwise a viewer could subscribe to a thread that has ended.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Instant,
};

use tokio::sync::watch;

use crate::observe::ops::document::{Document, rest};

/// The most viewers at once; each holds a connection.
const MOST_LISTENERS: usize = 32;

/// A snapshot, ready to be sent.
pub(crate) struct Snapshot {
    pub(crate) document: Document,
    pub(crate) json: String,
}

type Slot = Option<Arc<Snapshot>>;

/// The source of snapshots, while someone listens.
static FEED: Mutex<Option<watch::Sender<Slot>>> = Mutex::new(None);

/// One viewer.
pub(crate) struct Listener(watch::Receiver<Slot>);

impl Listener {
    /// Returns `None` if there are too many viewers.
    pub(crate) fn new() -> io::Result<Option<Self>> {
        let mut feed = FEED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*feed {
            let has_place = sender.receiver_count() < MOST_LISTENERS;
            return Ok(has_place.then(|| Self::of(sender.subscribe())));
        }
        let (sender, receiver) = watch::channel(None);
        let feeding = Feeding(sender.clone());
        let thread = thread::Builder::new().name("supervised-snapshots".to_owned());
        thread.spawn(move || feeding.run())?;
        *feed = Some(sender);
        Ok(Some(Self(receiver)))
    }

    /// A new listener gets the last snapshot first.
    fn of(mut receiver: watch::Receiver<Slot>) -> Self {
        receiver.mark_changed();
        Self(receiver)
    }

    /// Returns the next snapshot, or `None` if there will be none. Cancel safe: the next call returns the newest one.
    pub(crate) async fn next(&mut self) -> Option<Arc<Snapshot>> {
        loop {
            self.0.changed().await.ok()?;
            let slot = self.0.borrow_and_update().clone();
            if slot.is_some() {
                return slot;
            }
        }
    }
}

/// The thread that takes the snapshots.
struct Feeding(watch::Sender<Slot>);

impl Feeding {
    fn run(self) {
        loop {
            let started = Instant::now();
            let document = Document::now(started);
            let json = document.json();
            self.0.send_replace(Some(Arc::new(Snapshot { document, json })));
            #[expect(clippy::disallowed_methods, reason = "the thread is its own")]
            thread::sleep(rest(started.elapsed()));
            let mut feed = FEED.lock().unwrap_or_else(PoisonError::into_inner);
            if self.0.receiver_count() == 0 {
                *feed = None;
                return;
            }
        }
    }
}

impl Drop for Feeding {
    /// After a panic, the next listener starts a new thread, and waiting listeners end.
    fn drop(&mut self) {
        if thread::panicking() {
            *FEED.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::Mutex;

    use super::*;

    /// The process has one feed: its tests run one at a time.
    static ALONE: Mutex<()> = Mutex::const_new(());

    fn listener() -> Listener {
        Listener::new().unwrap().expect("there is a place")
    }

    #[tokio::test]
    async fn at_most_32_view_at_once() {
        let _alone = ALONE.lock().await;
        let mut listeners: Vec<_> = (0..MOST_LISTENERS).map(|_| listener()).collect();
        assert!(Listener::new().unwrap().is_none());
        listeners.pop();
        assert!(Listener::new().unwrap().is_some());
    }

    #[tokio::test]
    async fn a_viewer_gets_the_last_snapshot_at_once() {
        let _alone = ALONE.lock().await;
        let mut first = listener();
        let snapshot = first.next().await.unwrap();
        let mut second = listener();
        let at_once = tokio::time::timeout(Duration::ZERO, second.next()).await;
        let again = at_once.expect("there is room for a listener").unwrap();
        // Or a newer one.
        assert!(Arc::ptr_eq(&snapshot, &again) || again.document.at > snapshot.document.at);
    }

    #[tokio::test]
    async fn the_feed_stops_without_viewers_and_restarts() {
        let _alone = ALONE.lock().await;
        drop(listener());
        while FEED.lock().unwrap().is_some() {
            tokio::task::yield_now().await;
        }
        assert!(listener().next().await.is_some());
    }
}
