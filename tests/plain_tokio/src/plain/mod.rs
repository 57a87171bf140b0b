//! The nine befores of the cookbook.

#[path = "../../../compile/cookbook/fetch_all/before.rs"]
#[rustfmt::skip]
mod fetch_all;
#[path = "../../../compile/cookbook/flusher/before.rs"]
#[rustfmt::skip]
mod flusher;
#[path = "../../../compile/cookbook/http_saver/before.rs"]
#[rustfmt::skip]
mod http_saver;
#[path = "../../../compile/cookbook/panics/before.rs"]
#[rustfmt::skip]
mod panics;
#[path = "../../../compile/cookbook/pipeline/before.rs"]
#[rustfmt::skip]
mod pipeline;
#[path = "../../../compile/cookbook/queue_workers/before.rs"]
#[rustfmt::skip]
mod queue_workers;
#[path = "../../../compile/cookbook/service/before.rs"]
#[rustfmt::skip]
mod service;
#[path = "../../../compile/cookbook/stats/before.rs"]
#[rustfmt::skip]
mod stats;
#[path = "../../../compile/cookbook/tcp_server/before.rs"]
#[rustfmt::skip]
mod tcp_server;
