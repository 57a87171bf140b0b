//! The specification of the crates: single behaviours (`behaviour`), combinations (`composition`), and the rules of the
//! sources that no lint covers (`house`).

#![allow(clippy::unwrap_used)]

mod behaviour;
mod composition;
mod fixtures;
mod house;

// `hygiene` refers to itself by its path from the crate root, where `tests/edition_2021` has it.
use behaviour::hygiene;
