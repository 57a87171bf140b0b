//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Adds a checksum to every line of a table: `key<TAB>value` becomes `key<TAB>crc32<TAB>value`.
///
/// Lines come out in the order in which they went in, and memory does not grow with their number.
#[derive(Parser)]
#[command(name = "pipeline", after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The table; `-`, or none, for standard input
    pub(crate) table: Option<PathBuf>,

    /// Write to this file, not to standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every line was written
  1  a line is no `key<TAB>value`, or the table cannot be read, or the result not be written;
     a bad line costs itself and what follows it: all lines before it are written
  2  the command line is wrong

Ctrl-C stops the reading at once; lines that were read are still written, for at most 5 s. The program then
says how many they were, and ends by the signal (130 in a shell).";
