//! Beginning and end of a process.

mod bounded;
mod entry;
pub(crate) mod main;
mod pools;
mod report;
mod shutdown;
mod signals;
#[cfg(unix)]
mod tree;
