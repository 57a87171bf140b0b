//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;

/// Stores posted bodies in the background, a bounded number at once.
///
/// `POST /save` answers 202 with the name of the file that the body goes to, or 503 with `Retry-After` where
/// all slots are taken. With the header `Prefer: wait` it answers 201 once the body is on disk. `GET /healthz` answers 200 while the process lives, `GET /readyz` 503 once it stops.
#[derive(Parser)]
#[command(name = "http_saver", after_help = STOPPING)]
pub(crate) struct Arguments {
    /// The port to listen on; 0 lets the system choose one. The first line on standard output prints it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// The directory for the bodies, one file each
    #[arg(long, value_name = "DIR", default_value = "saved")]
    pub(crate) directory: PathBuf,

    /// How many bodies may be saved at once
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) slots: u16,

    /// Makes saving slow, for demonstration: how long each body waits before it is written
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub(crate) delay: Duration,

    /// How long to answer after the signal while `/readyz` says 503 already, for a load balancer; at most 5
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = up_to::<5>)]
    pub(crate) linger: Duration,

    /// How long the accepted bodies may take at the end; 5 s before, or at half of less than 10, they hurry; at most 14
    #[arg(long, value_name = "SECONDS", default_value = "14", value_parser = up_to::<14>)]
    pub(crate) grace: Duration,
}

const STOPPING: &str = "\
On SIGTERM or Ctrl-C it drops its readiness, stops accepting, finishes its requests (for 5 s at most), and
then writes every body that it has answered with 202. A second signal exits at once.

Exit codes:
  0  stopped by a signal, and every accepted body is on disk
  1  it could not start, or some accepted body was not saved: standard error names each
  2  the command line is wrong
  75 the time ran out before some accepted body was saved: standard error names it";

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn up_to<const MOST: u64>(text: &str) -> Result<Duration, String> {
    let duration = seconds(text)?;
    if duration > Duration::from_secs(MOST) {
        return Err(format!("at most {MOST}"));
    }
    Ok(duration)
}
