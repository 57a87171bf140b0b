//! The example `http_saver`, run as a program and asked over loopback.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "the test's side of the program uses plain tasks")]

mod accepted;
mod begin;
mod full;
#[path = "../support/http.rs"]
mod http;
#[allow(dead_code, reason = "other examples use the rest")]
#[path = "../support/program.rs"]
mod program;
#[path = "../support/random.rs"]
mod random;
mod saver;
mod stop;
