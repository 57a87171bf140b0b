//! The ops page in a real browser.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod browser;
mod console;
mod hostile;
#[path = "../../support/http.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod http;
mod left_out;
#[path = "../../support/program.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod program;
mod twins;
mod unanswered;
