//! The example `fetch_all`, run as a program against a real server.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "the test's side of the program uses plain tasks")]

mod columns;
mod demo;
mod interrupt;
mod lines;
mod pages;
mod program;
mod server;
