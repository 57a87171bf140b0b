//! Beginning and end of a process.

mod bounded;
pub(crate) mod main;
mod pools;
mod shutdown;
mod signals;
