//! The example `queue_workers`, run as a program, stopped and killed.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod files;
mod killed;
mod lines;
#[path = "../support/moments.rs"]
mod moments;
mod orders;
mod poisoned;
#[allow(dead_code, reason = "other examples use the rest")]
#[path = "../support/program.rs"]
mod program;
#[allow(dead_code, reason = "other examples use the rest")]
#[path = "../support/random.rs"]
mod random;
mod stopped;
