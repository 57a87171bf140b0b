//! The command line.

use std::{ffi::OsString, path::PathBuf};

use clap::Parser;

/// Downloads a list of pages, at most 16 at once, and prints how they ended.
///
/// Without a source it serves itself: a server on loopback with fast, slow, failing and hanging pages
/// shows every way in which a download can end, in a few seconds and without a network.
#[derive(Parser)]
#[command(name = "fetch_all", after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// `http://` URLs, files with one URL on a line (`#` starts a comment), `-` for standard input
    pub(crate) sources: Vec<OsString>,

    /// Keep the pages in this directory, each in a file named after its number and its URL
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every page was fetched; in the demo: the pages ended as planned, the failing ones included
  1  some page was not fetched, or a line of a list is no URL; in the demo: some page ended otherwise
  2  the command line is wrong

Ctrl-C stops at once and keeps what has been fetched. The table tells how far it got, and the program
ends by the signal (130 in a shell). A second Ctrl-C exits without the table.";
