//! The example `flusher`, run as a program, stopped between and during flushes, with flushes that panic.

mod input;
mod lines;
mod panics;
mod program;
mod stopped;
