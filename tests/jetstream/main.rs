//! The example `jetstream`: several of its processes at once, on a real broker and a real database, killed, stopped
//! and counted.
//!
//! Both servers are started by each test, in a folder of its own and for this machine alone, and end with it.
//! `JOBS=20000` asks for the long form, `SEED=…` for the same moments again.
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
