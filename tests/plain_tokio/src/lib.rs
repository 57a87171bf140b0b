//! Code without an attribute, which the shipped `clippy.toml` flags.
//!
//! `tests/clippy` runs clippy over it and compares the messages. None of it is ever run.

#![allow(dead_code, clippy::unwrap_used)]
#![allow(
    clippy::disallowed_methods,
    reason = "the subject of the lint, which `tests/clippy` enables"
)]

mod before;
mod uses;
