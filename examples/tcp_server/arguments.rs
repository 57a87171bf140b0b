//! The command line.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;

/// Answers each line with the same line in upper case, over TCP, for a bounded number of clients at once.
#[derive(Parser)]
#[command(name = "tcp_server", after_help = STOPPING)]
pub(crate) struct Arguments {
    /// Address to listen on; with port 0 the system chooses a port. The first line of standard output names it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7000")]
    pub(crate) listen: SocketAddr,

    /// How many clients are served at once; further clients wait in the listener's backlog
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) connections: u16,

    /// How long a client may send nothing, or not read its answer, before its connection is closed
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) idle: Duration,

    /// Makes each answer slow, to watch a stop: how long the work on a line takes
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub(crate) work: Duration,
}

const STOPPING: &str = "\
A line of standard input that names a peer, such as `127.0.0.1:50312`, ends its connection.

On SIGTERM or Ctrl-C the server stops accepting. Each connection finishes the line that it works on, for at
most 5 s, says `bye` and is closed. A second signal exits at once.

Exit codes:
  0  stopped by a signal, every connection closed in order
  1  the server could not listen
  2  the command line is wrong
  75 a connection did not stop in time: standard error names it";

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
