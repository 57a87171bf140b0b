//! The settings of the command line.

use std::{env, path::PathBuf, thread};

use tokio::runtime::{Builder, Runtime};

use crate::counts::Counted;

/// The argument of the run under callgrind: see `counts.rs`.
pub(crate) const COUNTED: &str = "--counted";

pub(crate) struct Settings {
    pub(crate) quick: bool,
    /// This process runs under callgrind.
    pub(crate) counted: bool,
    pub(crate) cores: usize,
    pub(crate) rounds: usize,
    /// Calls in one round of an inline contender.
    pub(crate) calls: u64,
    /// Items in one round of a fan-out.
    pub(crate) items: u64,
    /// Tasks in one round of spawns.
    pub(crate) tasks: u64,
    pub(crate) counts: Counted,
    only: Vec<String>,
}

impl Settings {
    /// Cargo passes its own flags, such as `--bench`: an unknown one is not an error.
    pub(crate) fn of_this_process() -> Self {
        let (flags, only): (Vec<_>, Vec<_>) =
            env::args().skip(1).partition(|argument| argument.starts_with('-'));
        let has = |wanted: &str| flags.iter().any(|flag| flag == wanted);
        let (quick, counted) = (has("--quick"), has(COUNTED));
        let [rounds, calls, items, tasks] = match (counted, quick) {
            (true, _) => [1, 4_096, 4_096, 2_048],
            (false, true) => [7, 100_000, 200_000, 50_000],
            (false, false) => [15, 400_000, 1_000_000, 200_000],
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (rounds, counts) = (rounds as usize, Counted::default());
        Self { quick, counted, cores, rounds, calls, items, tasks, counts, only }
    }

    /// Whether a part of the table is to be measured.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.names(part)
    }

    /// The same for one that takes its time.
    pub(crate) fn names(&self, part: &str) -> bool {
        self.only.iter().any(|only| only == part)
    }

    /// The runtime that a program has by default: one worker for each core. Counted, it has one thread, since events
    /// have one order there.
    pub(crate) fn all_cores(&self) -> Runtime {
        let mut builder = match self.counted {
            true => Builder::new_current_thread(),
            false => Builder::new_multi_thread(),
        };
        builder.worker_threads(self.cores).enable_all();
        builder.build().expect("the operating system gives threads")
    }
}

/// The profile that this program was built in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As `cargo build --release` builds a program that sets nothing.
    Default,
    /// As a program that sets `lto = "fat"` and `codegen-units = 1`.
    Lto,
}

impl Profile {
    /// Cargo names the folder of the program after the profile; `bench` is in that of `release`.
    pub(crate) fn of_this_program() -> Self {
        let program = env::current_exe().unwrap_or_else(|_| PathBuf::new());
        match program.ancestors().nth(2) {
            Some(folder) if folder.ends_with("bench-lto") => Self::Lto,
            _ => Self::Default,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => {
                "bench (optimised as by default: 16 codegen units, no LTO across crates)"
            }
            Self::Lto => "bench-lto (fat LTO, one codegen unit)",
        }
    }
}
