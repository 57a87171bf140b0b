//! The command line.

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use clap::{Parser, ValueEnum, builder::TypedValueParser};

use crate::statistics::{Atomics, Locked, Statistics};

/// Counts lines and words in many files at once, and shows how many words the lines have.
///
/// All files are counted into one set of statistics, kept behind a mutex or as atomics: see `--kept`.
#[derive(Parser)]
#[command(name = "stats", after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Files to count; `-`, or none, for standard input
    pub(crate) files: Vec<PathBuf>,

    /// How the statistics are shared
    #[arg(long, value_enum, default_value_t = Kept::Mutex)]
    pub(crate) kept: Kept,

    /// Report progress on standard error at this interval
    #[arg(long, value_name = "MS", value_parser = milliseconds())]
    pub(crate) watch: Option<Duration>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kept {
    /// One lock around all of them: every summary is consistent
    Mutex,
    /// One atomic each: recording never waits, but a summary may contain half a line
    Atomics,
}

impl Kept {
    pub(crate) fn open(self) -> Arc<dyn Statistics> {
        match self {
            Self::Mutex => Arc::new(Locked::default()),
            Self::Atomics => Arc::new(Atomics::default()),
        }
    }
}

impl Arguments {
    /// The files to count; standard input if none is named.
    pub(crate) fn sources(&self) -> Vec<OsString> {
        if self.files.is_empty() {
            return vec!["-".into()];
        }
        self.files.iter().cloned().map(PathBuf::into_os_string).collect()
    }
}

fn milliseconds() -> impl TypedValueParser<Value = Duration> {
    clap::value_parser!(u64).range(1..).map(Duration::from_millis)
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every file was counted
  1  some file could not be read; the others are counted
  2  the command line is wrong

Ctrl-C stops at once, shows what has been counted, and the program ends by the signal (130 in a shell).";
