//! Supervised functions in edition 2021, under every lint that a crate may enable.
//!
//! `tests/edition_2024` compiles the same sources in edition 2024.

#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    explicit_outlives_requirements,
    keyword_idents,
    let_underscore,
    redundant_lifetimes,
    refining_impl_trait,
    rust_2024_compatibility,
    single_use_lifetimes,
    trivial_casts,
    unit_bindings,
    unused,
    unused_lifetimes,
    unreachable_pub,
    unused_qualifications,
    rust_2018_idioms,
    future_incompatible,
    clippy::all,
    clippy::nursery,
    clippy::pedantic
)]

pub mod compositions;
pub mod forms;
pub mod restarts;
