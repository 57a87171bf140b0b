//! Supervised functions in edition 2021, under every lint that a crate may turn on.
//!
//! `forms` and `restarts` are compiled a second time, in edition 2024, by `tests/behaviour/forms.rs`.

#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    single_use_lifetimes,
    unreachable_pub,
    unused_qualifications,
    rust_2018_idioms,
    future_incompatible,
    clippy::all,
    clippy::nursery,
    clippy::pedantic
)]

pub mod forms;
pub mod restarts;
