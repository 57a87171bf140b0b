//! The process: its main, its signals, its exit.

pub(crate) mod blocked;
pub(crate) mod drain_pools;
pub(crate) mod exit;
pub(crate) mod main;
pub(crate) mod program;
pub(crate) mod report;
pub(crate) mod settings;
pub(crate) mod shutdown;
pub(crate) mod signals;
pub(crate) mod systemd;
#[cfg(unix)]
pub(crate) mod tree;
