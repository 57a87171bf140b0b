//! Rules of this repository that no lint checks.

mod cancel_safety;
mod floors;
mod ignored;
mod oldest_compiler;
mod packages;
mod ready;
mod sources;
mod targets;
