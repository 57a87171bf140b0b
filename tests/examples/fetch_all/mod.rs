//! The example `fetch_all`, run as a program against a real server.
#![expect(
    clippy::disallowed_methods,
    reason = "the other side of the program is made of plain tasks"
)]

mod columns;
mod demo;
mod interrupt;
mod lines;
mod pages;
mod program;
mod server;
