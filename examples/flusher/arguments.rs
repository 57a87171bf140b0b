//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::Parser;

/// Collects the lines of standard input in memory, and writes them to a file at intervals.
///
/// Every line that was read is on the disk when the program has ended, exactly once: at the end of the
/// input, after Ctrl-C or SIGTERM, and also where a flush has failed or panicked and was tried again.
#[derive(Parser)]
#[command(name = "flusher", after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The file that lines are appended to
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// The longest time between two flushes; a full buffer is flushed earlier: a number with `ms`, `s` or `m`
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = time)]
    pub(crate) every: Duration,

    /// Report each flush on standard output
    #[arg(long)]
    pub(crate) verbose: bool,

    /// Demonstration: each flush takes this many milliseconds more, as on a slow disk
    #[arg(long, value_name = "MS", default_value = "0")]
    flush_ms: u64,

    /// Demonstration: these flushes panic halfway
    #[arg(long, value_name = "N,N,…", value_delimiter = ',')]
    pub(crate) panic_on: Vec<u64>,
}

impl Arguments {
    pub(crate) fn flush_takes(&self) -> Duration {
        Duration::from_millis(self.flush_ms)
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let milliseconds = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0);
    let time = number.zip(milliseconds).and_then(|(number, unit)| number.checked_mul(unit));
    time.map(Duration::from_millis).ok_or_else(|| "write it as `100ms`, `2s` or `1m`".to_owned())
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every line that was read is on the disk; also after Ctrl-C or SIGTERM
  1  it gave up, after 5 restarts within a minute; or a file could not be opened, or the input not be read
  2  the command line is wrong

A pipe knows no acknowledgement: what is still on its way when a signal comes was not read. The last line of
the output tells how many lines were. A second signal exits at once, and loses what is in memory.";
