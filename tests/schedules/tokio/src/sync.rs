//! `Notify`: before each access, and between two wake-ups, another task may run.

mod notify;

pub use notify::{Notified, Notify};
pub use tokio::sync::{mpsc, oneshot, watch};
