//! `#[supervised::main]` on real processes, under real signals.
//!
//! Every program tells `READY` before a test sends anything, and every wait has a watchdog. Lower bounds of
//! time are exact; upper bounds leave room for a busy machine.

#![cfg(unix)]

mod cause;
mod child;
mod hostile;
mod one_signal;
mod pools;
#[path = "../support/random.rs"]
#[allow(dead_code, reason = "storms need no bytes")]
mod random;
mod reports;
mod second_signal;
mod services;
mod spent;
mod storm;
mod storms;
mod told;
mod twice;
