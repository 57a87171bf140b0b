//! The ops page: metrics, probes, and the live tasks, over HTTP.
//!
//! ```no_run
//! use tokio_supervised::{CancellationToken, ops, supervised};
//!
//! #[supervised::main]
//! async fn main(token: CancellationToken) -> anyhow::Result<()> {
//!     println!("see http://{}/debug/tasks", ops::listen(7070)?);
//!     // … work …
//! #   token.cancelled().await;
//!     Ok(())
//! }
//! ```
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | the counters of each supervised function, for Prometheus |
//! | `/healthz` | 200 while the runtime makes progress |
//! | `/readyz` | 200 until the first signal, then 503 |
//! | `/debug/tasks` | the live tasks, the functions and the last panics: a page that follows them for a browser, JSON for `Accept: application/json`, else text |
//!
//! # Who may see it
//!
//! Anyone who can reach it: there is no authentication. Names, source places, the messages of panics and their
//! backtraces are inside information: they show an attacker what runs, in which version, and what makes it fail. So
//! [`listen`] binds the loopback address alone, and answers only requests to `localhost`: a foreign web page whose name
//! was made to point to 127.0.0.1 (DNS rebinding) gets nothing. From another machine: `ssh -L 7070:localhost:7070
//! host`, or `kubectl port-forward pod/name 7070`.
//!
//! [`router`] is for a server with its own access control. Put the routes that have to be reachable from outside, such
//! as the probes and scrapes of an orchestrator, into the service's own router without the rest:
//!
//! ```
//! use axum::{Router, http::StatusCode, routing::get};
//! use tokio_supervised::{is_ready, prometheus};
//!
//! let app: Router = Router::new()
//!     .route("/metrics", get(|| async { ([("content-type", prometheus::CONTENT_TYPE)], prometheus::text()) }))
//!     .route("/readyz", get(|| async {
//!         if is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
//!     }));
//! ```
//!
//! # When everything hangs
//!
//! A router is served by the workers of the runtime that it is in: while tasks block all of them, it does not answer,
//! and that is when it is needed. [`listen`] uses a dedicated thread with a small runtime, and continues during a
//! shutdown, to its end.
//!
//! # What it costs
//!
//! Nothing while the page is not open. A snapshot is made on a dedicated thread, for all viewers: at most every 500 ms,
//! and less often if there are so many tasks that it would take more than a tenth of a core. The size of a response is
//! bounded, however many tasks there are: alike siblings are one line, lines beyond 300 and functions beyond 100 are
//! counted instead.
//!
//! The resources that clients can take are bounded too. Per process, at most 32 clients follow the tasks at once;
//! further ones get
//! 503. A place is free again after 10 s, whether its client reads or not; the page asks for the next one by itself.
//! [`listen`] bounds connections too:
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | open connections | 64 | the next one waits until a place is free |
//! | time until the head of a request has come, or the next request on a connection | 5 s | the connection is closed |
//! | bytes of a head | 32 KiB | 431, and the connection is closed |
//! | time in which a client reads nothing of the response | 5 s | the connection is closed |
//! | time in which it reads all data that is ready to be sent | 30 s | the connection is closed |

mod accept;
mod document;
mod feed;
mod host;
mod listen;
mod message;
mod page;
mod probes;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod read_back;
mod routes;
mod serve;
mod text;
mod write_timeout;

pub use crate::observe::ops::listen::listen;
pub use crate::observe::ops::routes::router;
