//! The nine befores of the cookbook.

#[path = "../../../cookbook/fetch_all/before.rs"]
#[rustfmt::skip]
mod fetch_all;
#[path = "../../../cookbook/flusher/before.rs"]
#[rustfmt::skip]
mod flusher;
#[path = "../../../cookbook/http_saver/before.rs"]
#[rustfmt::skip]
mod http_saver;
#[path = "../../../cookbook/panics/before.rs"]
#[rustfmt::skip]
mod panics;
#[path = "../../../cookbook/pipeline/before.rs"]
#[rustfmt::skip]
mod pipeline;
#[path = "../../../cookbook/queue_workers/before.rs"]
#[rustfmt::skip]
mod queue_workers;
#[path = "../../../cookbook/service/before.rs"]
#[rustfmt::skip]
mod service;
#[path = "../../../cookbook/stats/before.rs"]
#[rustfmt::skip]
mod stats;
#[path = "../../../cookbook/tcp_server/before.rs"]
#[rustfmt::skip]
mod tcp_server;
