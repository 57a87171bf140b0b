//! The ops server, apart from what it looks at.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread,
};

use axum::{Router, middleware};
use tokio::runtime::{Builder, Handle};

use super::{host::only_local, routes};

/// Serves what [`router`](super::router) does at 127.0.0.1, on a thread and a small runtime of its own, until
/// the process ends. Gives the address; with port 0 the system has chosen one.
///
/// It answers while tasks block every worker of the runtime, and during a shutdown. `/healthz` asks the runtime
/// that this was called in: 503 where none of its workers is free for 2 s, so that a liveness probe restarts a
/// process that hangs. Called outside of any runtime, it says 200.
///
/// Nothing stops it but the end of the process, which it does not hold back.
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
/// Where the port is taken, or may not be had, which the error names; or a thread cannot be started.
pub fn listen(port: u16) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(|error| cannot_listen(port, &error))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let app = routes::watching(Handle::try_current().ok()).layer(middleware::from_fn(only_local));
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        serve(listener, app).await
    };
    thread::Builder::new().name("supervised-ops".to_owned()).spawn(move || {
        if let Err(error) = runtime.block_on(serve) {
            tracing::warn!(target: "tokio_supervised", %error, "the ops page is no longer served");
        }
    })?;
    Ok(address)
}

/// Of the same kind, with the address: a program has more ports than this one.
fn cannot_listen(port: u16, error: &io::Error) -> io::Error {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    io::Error::new(error.kind(), format!("the ops page cannot be served at {address}: {error}"))
}

async fn serve(listener: tokio::net::TcpListener, app: Router) -> io::Result<()> {
    axum::serve(listener, app).await
}
