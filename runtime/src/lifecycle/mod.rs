//! Beginning and end of a process, and of a test.

mod attempts;
mod body_task;
mod bounded;
mod driver;
mod leak_check;
mod leaks;
pub(crate) mod main;
mod pools;
mod report;
mod shutdown;
mod signals;
pub(crate) mod systemd;
pub(crate) mod test;
mod threads;
#[cfg(unix)]
mod tree;

pub use leak_check::LeakCheck;
pub use leaks::Leaks;
