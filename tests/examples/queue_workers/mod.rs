//! The example `queue_workers`, run as a program, stopped and killed.

mod files;
mod killed;
mod lines;
mod orders;
mod poisoned;
mod stopped;
