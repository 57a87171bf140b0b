//! The ops page in a real browser.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod browser;
mod console;
mod hostile;
mod no_data;
mod omitted;
mod same_name;
