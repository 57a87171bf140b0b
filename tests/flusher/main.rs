//! The example `flusher`, run as a program, stopped between and during flushes, with flushes that panic.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod flusher;
mod input;
mod lines;
mod panics;
#[allow(dead_code, reason = "other examples use the rest")]
#[path = "../support/program.rs"]
mod program;
#[allow(dead_code, reason = "other examples use the rest")]
#[path = "../support/random.rs"]
mod random;
mod stopped;
