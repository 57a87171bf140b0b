//! `#[supervised::main]` in real processes, under real signals.
//!
//! Every program prints `READY` before a test sends anything, and every wait has a watchdog. Lower time bounds are
//! exact; upper bounds have a tolerance for a busy machine.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod blocked;
mod cause;
mod configured;
mod connections;
mod events;
mod hangs;
mod hostile;
mod one_signal;
mod pools;
mod reports;
mod rolling;
mod second_signal;
mod services;
mod spent;
mod storm;
mod storms;
mod systemd;
mod twice;

use testkit::program::Program;

/// One executable has all mains: its argument is `main: body`.
const MAINS: &str = env!("CARGO_BIN_EXE_mains");

fn start(main: &str, body: &str) -> Program {
    Program::start(MAINS, &format!("{main}: {body}"))
}
