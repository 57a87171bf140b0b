//! The server of the ops page. Everything that a client can pile up has a bound.
//!
//! Invariants, checked by `tests/ops/http/bounds.rs`
//!
//! 1. At most [`CONNECTIONS`] are open. Further ones wait in the kernel's queue, without a descriptor of this
//!    process, until a place is free. Otherwise idle clients take all descriptors of the program.
//! 2. A client sends a whole request head within [`HEAD_TIMEOUT`], and at most [`HEAD_BYTES`] of it. The time covers
//!    an idle connection too. Otherwise half a request holds a place and its memory for ever.
//! 3. A client that stops reading is dropped ([`WriteTimeout`]), and so little is sent ahead of it ([`SEND_BUFFER`])
//!    that it is noticed. Otherwise the places are taken by clients that never read.
//! 4. Each place is free again in bounded time, by 2 and 3 and since each handler ends by itself; so a client that
//!    waits is served.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use crate::observe::ops::write_timeout::WriteTimeout;
use crate::telemetry::span::call_subscriber;

/// Twice the number of viewers: probes and scrapes find a place beside them.
const CONNECTIONS: usize = 64;

const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Browsers send the cookies of every port of `localhost`; hyper's own bound is 400 KiB.
const HEAD_BYTES: usize = 32 * 1024;

/// How much the kernel buffers for a client. It doubles this; its default grows to megabytes, and a client that does
/// not read looks like one that does until they are full.
const SEND_BUFFER: u32 = 64 * 1024;

/// Connections that the kernel holds for [`serve`].
const QUEUE: u32 = 128;

/// Before the next attempt to accept if the process has no descriptor left.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// Called in the runtime that serves.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // As `std` and tokio do: the port of a process that has just ended is free.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Serves until the process ends.
pub(crate) async fn serve(listener: TcpListener, app: Router) -> Infallible {
    let service = TowerToHyperService::new(app);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await.expect("nothing closes the semaphore");
        let stream = accept(&listener).await;
        #[expect(
            clippy::disallowed_methods,
            reason = "its time is bounded, and nothing waits for it"
        )]
        tokio::spawn(connection(stream, service.clone(), place));
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let mut is_reported = false;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_client_error(&error) => {}
            Err(error) => {
                if !is_reported {
                    call_subscriber(
                        || tracing::warn!(target: "tokio_supervised", %error, "the ops page failed to accept a connection"),
                    );
                    is_reported = true;
                }
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// The client left before it was accepted.
fn is_client_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(
    stream: TcpStream,
    service: TowerToHyperService<Router>,
    _place: OwnedSemaphorePermit,
) {
    // Small answers are written at once.
    _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(WriteTimeout::new(stream)), service);
    // A client that disconnects or misbehaves does not concern the program.
    _ = connection.await;
}
