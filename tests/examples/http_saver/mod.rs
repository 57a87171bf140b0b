//! The example `http_saver`, run as a program and asked over loopback.
#![expect(
    clippy::disallowed_methods,
    reason = "the other side of the program is made of plain tasks"
)]

mod accepted;
mod full;
mod saver;
mod start;
mod stop;
