//! Rules of the house that no lint knows.

mod cancel_safety;
mod floors;
mod ignored;
mod oldest_compiler;
mod packages;
mod ready;
mod sources;
mod targets;
