//! The example `service`, run as a program and asked over loopback.
#![expect(
    clippy::disallowed_methods,
    reason = "the other side of the program is made of plain tasks"
)]

mod failure;
mod order;
mod program;
mod start;
