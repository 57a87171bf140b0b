//! Beginning and end of a process.

mod bounded;
pub(crate) mod main;
mod shutdown;
mod signals;
