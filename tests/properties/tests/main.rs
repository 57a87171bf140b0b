//! Random programs over the public API, compared with a simple model.
//!
//! A program is a list of steps, so a failing one can be shrunk. After each step the runtime runs until nothing is
//! ready; the visible state then depends on the program alone. Time is paused: an endless wait is detected at once.
//! `PROPTEST_CASES=…` sets the number of programs per test; a failing one is stored in `proptest-regressions`, and
//! is run first from then on.

#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "tests drive the crate from plain tasks")]

mod group;
mod limit;
mod map;
mod pool;
mod pool_model;
mod services;
mod support;
