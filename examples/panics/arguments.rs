//! The command line.

use clap::{Parser, ValueEnum};

/// Runs jobs, some of which panic, and shows each panic as an event, as a counter, and as an error.
#[derive(Parser)]
#[command(name = "panics", after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// How many jobs to run
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) jobs: u64,

    /// Every n-th job panics; 0 for none
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) every: u64,

    /// How events are written to standard error
    #[arg(long, value_enum, default_value_t = Log::Text)]
    pub(crate) log: Log,

    /// Show the backtrace of the first panic, from its error
    #[arg(long)]
    pub(crate) backtrace: bool,

    /// Exit with 1 if a job panicked
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Log {
    /// One line each: time, level, message
    Text,
    /// One JSON object each, on one line, with all fields, including the backtrace
    Json,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every job has ended, some of them perhaps by a panic
  1  with --strict: some job panicked
  2  the command line is wrong

Ctrl-C stops at once, shows how the jobs have ended so far, and the program ends by the signal (130 in a shell).";
