//! `Notify`: before one is touched, another task may go first; between two wake-ups, too.

mod notify;

pub use notify::{Notified, Notify};
pub use tokio::sync::{mpsc, oneshot, watch};
