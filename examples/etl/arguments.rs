//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::Parser;

/// Prices the lines of a file: each is looked up over HTTP, and written as its answer comes.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// A file with lines of the form `item,count`. Without it: a demo file is made.
    #[arg(long)]
    pub(crate) input: Option<PathBuf>,
    /// The server that knows the prices, as `http://host:port`. Without it: one on loopback is started.
    #[arg(long)]
    pub(crate) server: Option<String>,
    /// Where the rows `item,count,price` are written, in the order of the answers.
    #[arg(long, default_value = "priced.csv")]
    pub(crate) out: PathBuf,
    /// How many lines the demo file has.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) lines: usize,
    /// How many of them are bad: each n-th one is no line of this form, or names an item without a price. 0: none.
    #[arg(long, default_value_t = 500)]
    pub(crate) bad_each: usize,
    /// The server of the demo refuses each n-th request, which is then repeated. 0: none.
    #[arg(long, default_value_t = 100)]
    pub(crate) busy_each: usize,
    /// The time for all lines, in seconds.
    #[arg(long, default_value = "600", value_parser = seconds)]
    pub(crate) within: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
