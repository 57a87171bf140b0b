//! `#[supervised::main]` in real processes, under real signals.
//!
//! Every program prints `READY` before a test sends anything, and every wait has a watchdog. Lower time bounds are
//! exact; upper bounds have a tolerance for a busy machine.

#![cfg(unix)]

mod cause;
mod child;
mod hostile;
mod one_signal;
mod pools;
#[path = "../support/random.rs"]
#[allow(dead_code, reason = "storms use no random bytes")]
mod random;
mod reports;
mod second_signal;
mod spent;
mod storm;
mod storms;
mod told;
mod twice;
