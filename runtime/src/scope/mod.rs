//! What runs together.

mod blocking;
mod collect_mode;
mod drain;
mod group;
mod group_state;
mod growth;
mod item_source;
mod map;
mod map_state;
mod pool;
mod pool_spawn;
mod pool_state;
mod pool_task;
mod pool_token;
mod pool_unfinished;
mod recycler;
mod refused;
mod reorder_buffer;
mod slot;
mod slots;
mod spawn;
mod spawner;
mod task;
mod timer;
mod watch;
mod worker;

pub use blocking::Blocking;
pub use group::{Group, GroupHandle};
pub use map::{Map, Settled, map};
pub use pool::Pool;
pub use pool_spawn::PoolSpawn;
pub use refused::{Closed, LoggedError, SpawnError, TrySpawnError, ZeroLimit};
pub use slot::Slot;
pub use spawn::{HandleSpawn, Spawn};
