//! The command line.

use clap::Parser;

/// A busy service with some ill-behaved tasks, to watch on its ops page.
#[derive(Parser)]
#[command(name = "console", after_help = STOPPING)]
pub(crate) struct Arguments {
    /// The local port of the page; 0 lets the system choose one. The first line on standard output prints it
    #[arg(long, value_name = "PORT", default_value_t = 7070)]
    pub(crate) port: u16,

    /// How many tasks only wait
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) sessions: usize,
}

const STOPPING: &str = "\
On Ctrl-C or SIGTERM it ends within 4 s as a rule, and exits with 0; the page is there to the end.";
