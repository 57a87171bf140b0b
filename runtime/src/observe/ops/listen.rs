//! The ops server, separate from the runtime that it observes.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use axum::{Router, middleware};
use tokio::runtime::{Builder, Handle};

use crate::{
    observe::ops::host::only_local,
    observe::ops::routes,
    observe::ops::serve::{bind, serve},
};

/// Serves [`router`](crate::observe::ops::routes::router) at 127.0.0.1, on a dedicated thread with a small runtime,
/// until the process ends. Returns the address; with port 0 the system chooses one.
///
/// It answers while tasks block every worker of the runtime, and during a shutdown. `/healthz` asks the runtime that
/// this was called in: it answers 503 if none of its workers is free for 2 s, and a liveness probe then restarts a
/// process that hangs. If this is called outside any runtime, it answers 200.
///
/// Nothing stops it but the end of the process, which it does not hold back.
///
/// The resources that a client can take are bounded: see [what it costs](super#what-it-costs).
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let address = tokio_supervised::ops::listen(7070)?;
/// println!("see http://{address}/debug/tasks");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// If the port is taken or not permitted, which the error names; or if the system has no thread or no descriptor for
/// the server.
pub fn listen(port: u16) -> io::Result<SocketAddr> {
    let app =
        routes::router_watching(Handle::try_current().ok()).layer(middleware::from_fn(only_local));
    let (started, is_started) = sync_channel(1);
    // The runtime is made on its own thread: one that is dropped inside another runtime panics.
    thread::Builder::new()
        .name("supervised-ops".to_owned())
        .spawn(move || run(port, app, &started))
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("failed to start the thread of the ops page: {error}"),
            )
        })?;
    is_started
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the thread of the ops page panicked")))
}

fn run(port: u16, app: Router, started: &SyncSender<io::Result<SocketAddr>>) {
    // The receiver waits until the message has come.
    let report = |result| _ = started.send(result);
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let text = format!("failed to start the runtime of the ops page: {error}");
            return report(Err(io::Error::new(error.kind(), text)));
        }
    };
    runtime.block_on(async {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let bound = bind(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Err(error) => report(Err(cannot_listen(address, &error))),
            Ok((address, listener)) => {
                report(Ok(address));
                match serve(listener, app).await {}
            }
        }
    });
}

/// Keeps the kind and adds the address: a program may listen on several ports.
fn cannot_listen(address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("failed to serve the ops page at {address}: {error}"))
}
