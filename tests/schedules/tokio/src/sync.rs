//! `Semaphore` and `Notify`: before one is touched, another task may go first; between two wake-ups, too.

mod notify;
mod semaphore;

pub use notify::{Notified, Notify};
pub use semaphore::{Acquire, AcquireError, NoPermits, Semaphore, SemaphorePermit};
pub use tokio::sync::{mpsc, oneshot, watch};
