//! Compositions of the parts of the crate: in loops, nested, handed on, for a long time.
//!
//! One module for each kind of fault. A test that may exhaust memory, descriptors or the stack, or abort, is a
//! fixture: an ignored test that another test runs in a separate process (`testkit::fixture`).

#![expect(clippy::disallowed_methods, reason = "tests drive the crate from plain tokio tasks")]

mod bounds;
mod chains;
mod decisions;
mod depth;
mod fairness;
mod group_reports;
mod keys;
mod life;
mod locks;
mod map_reports;
mod panic_reports;
mod pool_reports;
mod ready;
mod run_reports;
mod tokens;
