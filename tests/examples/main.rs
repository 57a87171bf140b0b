//! The programs of `examples/`, each started as a process and used from the outside.
//!
//! Where a test prints `SEED=…`, that variable repeats its random numbers.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod etl;
mod fetch_all;
mod flusher;
mod http_saver;
mod panics;
mod pipeline;
mod queue_workers;
mod service;
mod stats;
mod tcp_server;
