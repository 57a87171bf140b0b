//! The TCP server of the examples, without its operator, and the same by hand.

#[path = "../../../../examples/tcp_server/connection.rs"]
mod connection;

use std::{io, net::Ipv4Addr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_supervised::{CancellationToken, Main, Pool, supervised};
use tokio_util::task::TaskTracker;

use self::connection::{Client, connection};
use super::process::print_address;

const CONNECTIONS: usize = 100;
const IDLE: Duration = Duration::from_secs(60);
const WORK: Duration = Duration::ZERO;
const DRAIN: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_millis(100);

async fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    print_address(listener.local_addr()?)?;
    Ok(listener)
}

/// As the example does.
fn log_to_stderr() {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
}

pub(super) fn supervised() {
    log_to_stderr();
    _ = Main::new().run(serve_supervised);
}

#[supervised]
async fn serve_supervised(token: CancellationToken) -> io::Result<()> {
    let listener = listen().await?;
    let pool = Pool::new(CONNECTIONS).stop_with(&token).name("connections");
    while let Ok(slot) = pool.reserve().await {
        match token.run_until_cancelled(listener.accept()).await {
            Some(Ok((stream, peer))) => {
                slot.spawn(move |token| connection(token, stream, IDLE, WORK).label(peer));
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot accept a connection");
                token.run_until_cancelled(sleep(RETRY)).await;
            }
            None => break,
        }
    }
    pool.drain(DRAIN).await?;
    Ok(())
}

pub(super) fn by_hand() {
    log_to_stderr();
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("the operating system gives threads");
    runtime.block_on(serve_by_hand()).expect("the server can listen");
}

/// Nothing fires the token: the process is killed. Its handler of signals would.
async fn serve_by_hand() -> io::Result<()> {
    let token = CancellationToken::new();
    let listener = listen().await?;
    let (permits, tracker) = (Arc::new(Semaphore::new(CONNECTIONS)), TaskTracker::new());
    while let Some(Ok(permit)) = token.run_until_cancelled(permits.clone().acquire_owned()).await {
        match token.run_until_cancelled(listener.accept()).await {
            Some(Ok((stream, peer))) => {
                let token = token.child_token();
                tracker.spawn(async move {
                    let run = AssertUnwindSafe(connection_by_hand(&token, stream));
                    if run.catch_unwind().await.is_err() {
                        tracing::error!(%peer, "a connection has panicked");
                    }
                    drop(permit);
                });
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot accept a connection");
                token.run_until_cancelled(sleep(RETRY)).await;
            }
            None => break,
        }
    }
    tracker.close();
    _ = timeout(DRAIN, tracker.wait()).await;
    Ok(())
}

async fn connection_by_hand(token: &CancellationToken, mut stream: TcpStream) {
    if let Err(error) = Client::new(&mut stream, IDLE).serve(token, WORK).await {
        tracing::debug!(%error, "connection lost");
    }
}
