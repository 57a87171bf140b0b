//! The workers of `../worker`: several processes at once, on a real broker and a real database, killed, stopped and
//! counted.
//!
//! Each test starts both servers, in a temporary folder and on the loopback interface, and stops them.
//! `JOBS=20000` selects the long form; `SEED=…` repeats a run.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod broker;
mod child;
mod conformance;
mod database;
mod dead_letters;
mod example;
mod fleet;
mod killed;
mod long;
mod lost;
mod ordered;
mod orders;
mod place;
mod publisher;
mod scaled;
mod stopped;
mod tool;
