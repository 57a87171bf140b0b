//! The example `jetstream`: several of its processes at once, with a real broker and a real database, killed,
//! stopped and counted.
//!
//! Each test starts both servers in a temporary directory, reachable from this machine only, and stops them.
//! `JOBS=20000` selects the long form, `SEED=…` repeats the same moments.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod broker;
mod child;
mod database;
mod fleet;
mod given_up;
mod killed;

mod lines;
mod long;
mod lost;
mod orders;
mod place;
mod scaled;
mod stopped;
mod tool;
