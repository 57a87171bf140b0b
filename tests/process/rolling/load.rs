//! Clients that post jobs until they are stopped, and tolerate no failure.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};

use testkit::http::Connection;

/// The pause between two requests of one client: the instances are replaced under load, without an overload, which
/// they answer with 503.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Load {
    clients: JoinSet<io::Result<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Half of the clients keep their connection, half open one for each request.
    pub(crate) fn start(address: &str, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut load = Self { clients: JoinSet::new(), stop };
        for client in 0..clients {
            #[expect(clippy::disallowed_methods, reason = "clients that end on request")]
            load.clients.spawn(post(address.to_owned(), client, load.stop.clone()));
        }
        load
    }

    /// The accepted jobs, which are all that were posted.
    pub(crate) async fn end(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut accepted = Vec::new();
        while let Some(client) = self.clients.join_next().await {
            accepted.extend(client.unwrap().expect("every request is answered"));
        }
        accepted
    }
}

async fn post(address: String, client: usize, stop: Arc<AtomicBool>) -> io::Result<Vec<String>> {
    let keeps = client % 2 == 0;
    let (mut accepted, mut kept) = (Vec::new(), None);
    while !stop.load(Ordering::Relaxed) {
        let job = format!("{client}-{}", accepted.len());
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::open(&address).await?,
        };
        let answer = connection.exchange("POST", "/jobs", job.as_bytes()).await?;
        assert_eq!(answer.status, 202, "{job}: {answer:?}");
        // The proxy may close it, and announces that.
        let closes = answer.header("connection") == Some("close");
        kept = (keeps && !closes).then_some(connection);
        accepted.push(job);
        sleep(PAUSE).await;
    }
    Ok(accepted)
}
