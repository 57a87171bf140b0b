//! Code without an attribute, which the shipped `clippy.toml` flags.
//!
//! `tests/compile/clippy` runs clippy over it and compares what it says. Nothing of it is ever run.

#![allow(dead_code, clippy::unwrap_used)]
#![allow(
    clippy::disallowed_methods,
    reason = "the lint's own subject: `tests/compile/clippy` forces it to speak"
)]

mod plain;
mod uses;
