//! Without URLs: a built-in server, and pages that end in every way.

mod pages;

use std::{net::Ipv4Addr, process::ExitCode, sync::Arc};

use reqwest::Client;
use tokio::net::TcpListener;
use tokio_supervised::{CancellationToken, Group, task};

use crate::{fetch::Tools, finish, progress::Progress, run, store::Store};

/// Fetches the planned pages from a server on loopback, and reports whether they ended as planned.
///
/// The last ones never answer. When nothing else is left, the demo gives up on them, as a person would with Ctrl-C: it
/// cancels its token, and the program continues.
pub(crate) async fn show(
    token: &CancellationToken,
    store: Option<Store>,
) -> anyhow::Result<ExitCode> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let urls = pages::urls(address)?;
    let planned = pages::planned();

    let open = token.child_token();
    let server = Group::new(&open);
    server
        .spawn(task!("demo server", |token| {
            axum::serve(listener, pages::router()).with_graceful_shutdown(token.cancelled_owned())
        }))
        .await;
    eprintln!("No URLs: fetching {} pages of a demo server at http://{address}/", urls.len());

    // A proxy of the environment cannot reach the server.
    let client = Client::builder().no_proxy().build()?;
    let progress = Progress::new(urls.len());
    let tools = Arc::new(Tools { client, store, progress });
    let patience = token.child_token();
    let give_up = async {
        let others = urls.len() - planned.cancelled;
        patience.run_until_cancelled(tools.progress.reaches(others)).await;
        patience.cancel();
    };
    let (report, ()) = tokio::join!(run(&patience, tools.clone(), urls.clone()), give_up);
    // The server waits for the connections that the client keeps for later.
    drop(tools);
    open.cancel();
    let served = server.join().await;

    let as_planned = report.counts() == planned;
    if !as_planned && !token.is_cancelled() {
        eprintln!("Not as planned, which is {planned:?}");
    }
    // Print the table first, even if the signal came before anything was served.
    let end = finish(token, report, as_planned)?;
    served?;
    Ok(end)
}
