//! What runs together.

mod group;
mod keep;
mod ledger;
mod map;
mod pull;
mod runner;
mod slots;
mod source;
mod spawn;
mod task;

pub use group::{Group, GroupHandle};
pub use map::{Map, Settled, map};
pub use spawn::Spawn;
