//! The worker on a queue in memory, with a paused clock.
#![allow(clippy::unwrap_used)]

mod attempts;
mod conformance;
mod drain;

mod meter;
mod order;
mod progress;
mod queue;
mod rig;
mod settle;
mod slots;
