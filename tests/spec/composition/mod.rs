//! Compositions of the parts of the crate: in loops, nested, handed on, for a long time.
//!
//! One module for each kind of fault. A test that may exhaust memory, descriptors or the stack, or abort, is a
//! fixture: an ignored test that another test runs in a process of its own (`testkit::fixture`).

#![expect(
    clippy::disallowed_methods,
    reason = "a test stands outside of what it tests, and drives it from tasks of its own"
)]

mod bounds;
mod chains;
mod decisions;
mod depth;
mod fairness;
mod group_truth;
mod keys;
mod life;
mod locks;
mod map_truth;
mod panic_truth;
mod pool_truth;
mod ready;
mod run_truth;
mod tokens;
