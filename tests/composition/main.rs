//! Compositions of the parts of the crate: in loops, nested, handed on, for a long time.
//!
//! One module per kind of fault. A test that may exhaust memory, descriptors or the stack, or abort, is a fixture:
//! an ignored test that another test runs in a separate process (`support::child`).

#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "tests drive the crate from plain tasks")]

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
#[path = "../support/recursion.rs"]
mod recursion;
mod run_truth;
mod support;
mod tokens;
