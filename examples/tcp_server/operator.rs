//! The operator, who ends single connections.

use std::{
    collections::HashMap,
    io::stdin,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio::sync::mpsc::{Receiver, channel};
use tokio_supervised::{TaskHandle, supervised};

/// The handles of the connections, by their peers. The listener and the operator share it, each for a short lock.
#[derive(Default)]
pub(crate) struct Connections(Mutex<HashMap<SocketAddr, TaskHandle>>);

impl Connections {
    /// Adds a connection, and forgets those that have ended.
    pub(crate) fn add(&self, peer: SocketAddr, connection: TaskHandle) {
        let mut connections = self.lock();
        connections.retain(|_, connection| !connection.is_finished());
        connections.insert(peer, connection);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, TaskHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The peers that standard input names, one a line.
pub(crate) fn named_peers() -> Receiver<SocketAddr> {
    let (named, peers) = channel(1);
    // A thread that the runtime does not know: it blocks until the next line, and ends with the process.
    thread::spawn(move || {
        let lines = stdin().lines().map_while(Result::ok);
        lines.flat_map(|line| line.trim().parse()).try_for_each(|peer| named.blocking_send(peer))
    });
    peers
}

/// Ends the connection of each peer: it finishes the line that it works on, says `bye` and is closed.
#[supervised]
pub(crate) async fn end_named(mut peers: Receiver<SocketAddr>, connections: &Connections) {
    while let Some(peer) = peers.recv().await {
        if let Some(connection) = connections.lock().get(&peer) {
            connection.cancel();
        }
    }
}
