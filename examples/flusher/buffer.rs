//! The lines between the input and the disk.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Above it a flush is due, and the reader waits, and so does the writer of its pipe.
const CAPACITY: usize = 64 * 1024;

/// Whole lines in memory, and where in the file they belong.
///
/// Shared by one reader, which adds lines, and one flush at a time, which removes them when they are on the
/// disk. The lock is held to copy bytes, never across an `.await`.
pub(crate) struct Buffer {
    held: Mutex<Held>,
    full: Notify,
    room: Notify,
}

struct Held {
    bytes: Vec<u8>,
    /// The file offset of the first of them.
    begin: u64,
    read: u64,
    written: u64,
    complete: bool,
}

/// The contents of the buffer at one moment.
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) begin: u64,
    pub(crate) lines: u64,
}

impl Buffer {
    /// For a file of that length.
    pub(crate) fn new(begin: u64) -> Self {
        let held = Held { bytes: Vec::new(), begin, read: 0, written: 0, complete: false };
        Self { held: Mutex::new(held), full: Notify::new(), room: Notify::new() }
    }

    /// Nothing panics under the lock, and the guarded data is consistent after every statement.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room. Only the one reader may wait.
    pub(crate) async fn has_room(&self) {
        while self.held().bytes.len() >= CAPACITY {
            self.full.notify_one();
            // A notification that came earlier is stored for this.
            self.room.notified().await;
        }
    }

    /// Waits until the reader waits for room. Only one flush may wait.
    pub(crate) async fn is_full(&self) {
        self.full.notified().await;
    }

    pub(crate) fn add(&self, line: &[u8]) {
        let mut held = self.held();
        held.bytes.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            held.bytes.push(b'\n');
        }
        held.read += 1;
    }

    /// The input has ended: no more lines are added.
    pub(crate) fn complete(&self) {
        self.held().complete = true;
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.held().complete
    }

    /// A copy of the data to write: it stays here until [`remove`](Self::remove) confirms that it was written.
    pub(crate) fn batch(&self) -> Option<Batch> {
        let held = self.held();
        let (bytes, begin, lines) = (held.bytes.clone(), held.begin, held.read - held.written);
        (!bytes.is_empty()).then_some(Batch { bytes, begin, lines })
    }

    /// The batch is on the disk.
    pub(crate) fn remove(&self, batch: &Batch) {
        let mut held = self.held();
        held.bytes.drain(..batch.bytes.len());
        held.begin += batch.bytes.len() as u64;
        held.written += batch.lines;
        drop(held);
        self.room.notify_one();
    }

    /// How many lines were read, and how many of them are on the disk.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let held = self.held();
        (held.read, held.written)
    }
}
