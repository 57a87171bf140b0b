//! What the crates promise: one behaviour a test (`behaviour`), the pieces composed (`composition`), and the rules of
//! the sources that no lint knows (`house`).

#![allow(clippy::unwrap_used)]

mod behaviour;
mod composition;
mod fixtures;
mod house;

// `hygiene` names itself by its path from the root; in `tests/edition_2021` it is there.
use behaviour::hygiene;
