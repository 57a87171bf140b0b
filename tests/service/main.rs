//! The example `service`, run as a program and asked over loopback.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "the test's side of the program uses plain tasks")]

mod begin;
mod failure;
#[path = "../support/http.rs"]
#[allow(dead_code, reason = "other examples use the rest")]
mod http;
mod order;
#[allow(dead_code, reason = "other examples use the rest")]
#[path = "../support/program.rs"]
mod program;
mod service;
