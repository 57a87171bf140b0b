//! Supervised functions in edition 2024, under every lint that a crate may enable.
//!
//! The sources are those of `tests/edition_2021`; `tests/spec/behaviour` calls them.

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

#[path = "../../edition_2021/src/compositions.rs"]
pub mod compositions;
#[path = "../../edition_2021/src/forms.rs"]
pub mod forms;
#[path = "../../edition_2021/src/restarts.rs"]
pub mod restarts;
