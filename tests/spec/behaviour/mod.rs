//! The documented behaviour of the crate, one behaviour per test.

#![expect(
    clippy::disallowed_methods,
    reason = "a test stands outside of what it tests, and drives it from tasks of its own"
)]

mod body_checks;
mod cancel;
mod cancel_waker;
mod debug;
mod deep;
mod drain;
mod drop_order;
mod drop_scope;
mod drop_unpolled;
mod error_panics;
mod every_poll;
mod forms;
mod gate;
mod grace;
mod group;
mod group_stop;
pub(crate) mod hygiene;
mod known_faults;
mod limit;
mod map;
mod map_failure;
mod map_quick;
mod misuse;
mod outcome;
mod panics;
mod pool;
mod pool_races;
mod pool_storm;
mod restart;
mod restart_backoff;
mod restart_drop_order;
mod restart_panics;
mod restart_scopes;
mod services;
mod services_restart;
mod set_limit;
mod shield;
mod shield_edges;
mod size;
mod spawn_blocking;
mod spawn_local;
mod spawn_outside;
mod stress;
mod task;
mod tasks;
mod texts;
mod thread_end;
mod timeout;
mod tuned;
mod waits_for_itself;
mod within;
