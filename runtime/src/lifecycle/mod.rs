//! Beginning and end of a process.

pub(crate) mod main;
mod shutdown;
mod signals;
