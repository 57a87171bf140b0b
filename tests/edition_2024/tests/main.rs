//! The compositions of `tests/edition_2021` in edition 2024.

#![expect(clippy::disallowed_methods, reason = "tests drive the crate from plain tasks")]

use supervised_edition_2024::compositions;

#[path = "../../edition_2021/tests/compositions.rs"]
mod composition_calls;
#[path = "../../edition_2021/tests/entries.rs"]
mod entries;
