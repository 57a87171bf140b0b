//! The code that groups, pools and maps share: the task, its admission, the thread that it runs on.

pub(crate) mod admission;
pub(crate) mod blocking;
pub(crate) mod body_task;
pub(crate) mod cell;
pub(crate) mod failure;
pub(crate) mod handle;
pub(crate) mod name;
pub(crate) mod refused;
pub(crate) mod reorder_buffer;
pub(crate) mod runtime_options;
pub(crate) mod set;
pub(crate) mod spawner;
pub(crate) mod timer;
