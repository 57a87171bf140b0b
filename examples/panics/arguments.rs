//! The command line.

use clap::{Parser, ValueEnum};

/// Runs jobs of which some panic, and shows each panic as event, as counter, and as error.
#[derive(Parser)]
#[command(name = "panics", after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// How many jobs there are
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) jobs: u64,

    /// Every so many jobs one panics; 0 for none
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) every: u64,

    /// How events are written to standard error
    #[arg(long, value_enum, default_value_t = Log::Text)]
    pub(crate) log: Log,

    /// Show the backtrace of the first panic, as the error carries it
    #[arg(long)]
    pub(crate) backtrace: bool,

    /// Exit with 1 if a job panicked
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Log {
    /// A line each: when, how bad, what
    Text,
    /// A JSON object each, on one line, with all fields, the backtrace among them
    Json,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every job has ended, some of them perhaps by a panic
  1  with --strict: some job panicked
  2  the command line is wrong

Ctrl-C stops at once, shows how the jobs have ended so far, and the program ends by the signal (130 in a shell).";
