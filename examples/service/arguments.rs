//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;

/// A server that queues jobs, a consumer that processes them, and a flusher that writes the numbers.
///
/// `POST /jobs` answers 202, or 503 with `Retry-After` if the queue is full. `GET /healthz` answers 200 while the
/// process lives, `GET /readyz` 200 while all components run and none was asked to stop.
#[derive(Parser)]
#[command(name = "service", after_help = STOPPING)]
pub(crate) struct Arguments {
    /// The port to listen on; 0 lets the system choose one. The first line on standard output prints it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// The file that the consumer appends its finished jobs to, one on a line
    #[arg(long, value_name = "FILE", default_value = "done.txt")]
    pub(crate) done: PathBuf,

    /// The file that the flusher overwrites with the numbers
    #[arg(long, value_name = "FILE", default_value = "metrics.txt")]
    pub(crate) metrics: PathBuf,

    /// How often it writes them
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = above_zero)]
    pub(crate) every: Duration,

    /// How many jobs may wait
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) queue: u16,

    /// How long a job takes
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub(crate) work: Duration,

    /// How long to serve after the signal while `/readyz` already answers 503, for a load balancer; at most 5
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = up_to::<5>)]
    pub(crate) linger: Duration,

    /// Lets `POST /fail/server`, `/fail/consumer` and `/fail/flusher` make a component fail, for demonstration
    #[arg(long)]
    pub(crate) faults: bool,
}

const STOPPING: &str = "\
On SIGTERM or Ctrl-C, and when a component ends for any reason, all of them stop, one after the other:
the readiness, the server (5 s for its requests), the consumer (8 s for what is queued), the flusher (3 s for
the last numbers). A second signal exits at once.

Exit codes:
  0    stopped by a signal, and every accepted job is done
  1    it could not start, or a component failed: standard error names it
  2    the command line is wrong
  75   some component did not stop in its time: standard error names it
  143  a second signal ended it (130 after Ctrl-C)";

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn above_zero(text: &str) -> Result<Duration, String> {
    let duration = seconds(text)?;
    if duration.is_zero() {
        return Err("more than 0".to_owned());
    }
    Ok(duration)
}

fn up_to<const MOST: u64>(text: &str) -> Result<Duration, String> {
    let duration = seconds(text)?;
    if duration > Duration::from_secs(MOST) {
        return Err(format!("at most {MOST}"));
    }
    Ok(duration)
}
