//! The demo: a file of lines, and a server on loopback that prices them.

use std::{
    io::{BufWriter, Write},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use axum::{Router, extract, http::StatusCode, routing::get};
use tokio::{net::TcpListener, task::spawn_blocking};
use tokio_supervised::{CancellationToken, Group, task};

use crate::arguments::Arguments;

/// What replaces the arguments that were not given.
pub(crate) struct Demo {
    input: Option<PathBuf>,
    server: Option<String>,
    open: CancellationToken,
    group: Group<(), anyhow::Error>,
}

impl Demo {
    /// Makes the file and starts the server, if they were not given.
    pub(crate) async fn start(
        token: &CancellationToken,
        arguments: &Arguments,
    ) -> anyhow::Result<Self> {
        let open = token.child_token();
        let mut demo = Self { input: None, server: None, group: Group::new(&open), open };
        if arguments.input.is_none() {
            let path = arguments.out.with_extension("input");
            let (written, lines, bad_each) = (path.clone(), arguments.lines, arguments.bad_each);
            spawn_blocking(move || write(&written, lines, bad_each)).await??;
            demo.input = Some(path);
        }
        if arguments.server.is_none() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            demo.server = Some(format!("http://{}", listener.local_addr()?));
            let router = router(arguments.busy_each);
            demo.group
                .spawn(task!("price server", |token| -> anyhow::Result<()> {
                    let served = axum::serve(listener, router);
                    Ok(served.with_graceful_shutdown(token.cancelled_owned()).await?)
                }))
                .await;
        }
        Ok(demo)
    }

    pub(crate) fn input(&self, arguments: &Arguments) -> PathBuf {
        self.input.clone().or_else(|| arguments.input.clone()).unwrap_or_default()
    }

    pub(crate) fn server(&self, arguments: &Arguments) -> String {
        self.server.clone().or_else(|| arguments.server.clone()).unwrap_or_default()
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.open.cancel();
        self.group.join().await.map(drop)
    }
}

/// Half of the bad lines have no count, half an item without a price.
fn write(path: &Path, lines: usize, bad_each: usize) -> std::io::Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    for number in 1..=lines {
        match number.checked_rem(bad_each) {
            Some(0) if number % (2 * bad_each) == 0 => writeln!(file, "line {number}")?,
            Some(0) => writeln!(file, "unknown-{number},1")?,
            _ => writeln!(file, "item-{},{}", number % 1_000, number % 7)?,
        }
    }
    file.flush()
}

fn router(busy_each: usize) -> Router {
    let requests = Arc::new(AtomicUsize::new(0));
    let price = move |extract::Path(item): extract::Path<String>| async move {
        let request = requests.fetch_add(1, Relaxed) + 1;
        if request.checked_rem(busy_each) == Some(0) {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        match item.strip_prefix("item-").and_then(|number| number.parse::<u64>().ok()) {
            Some(number) => Ok((number % 100 + 1).to_string()),
            None => Err(StatusCode::NOT_FOUND),
        }
    };
    Router::new().route("/price/{item}", get(price))
}
