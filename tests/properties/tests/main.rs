//! Random programs over the public API, compared with what a plain model says of them.
//!
//! A program is a list of steps, so that a failing one can be made smaller. After each step the runtime runs until
//! nothing is ready; what is to be seen then depends on the program alone. Time is paused: who waits for ever is
//! found at once. `PROPTEST_CASES=…` says how many programs each test draws; one that fails is kept in
//! `proptest-regressions`, and run first from then on.

#![allow(clippy::unwrap_used)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test stands outside of what it tests, and drives it from tasks of its own"
)]

mod group;
mod limit;
mod map;
mod pool;
mod pool_model;
mod services;
mod support;
