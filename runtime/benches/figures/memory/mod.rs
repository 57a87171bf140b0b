//! The memory of live tasks, and of tasks that have ended: rows 5 and 6.

mod flat;
mod gate;
mod live;

pub(crate) use flat::run as flat;
pub(crate) use live::run as live;
