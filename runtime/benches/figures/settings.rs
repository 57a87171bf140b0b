//! The settings of the command line.

use tokio::runtime::Runtime;

pub(crate) struct Settings {
    pub(crate) quick: bool,
    pub(crate) cores: usize,
    pub(crate) rounds: usize,
    /// Calls in one round of an inline contender.
    pub(crate) calls: u64,
    /// Items in one round of a fan-out.
    pub(crate) items: u64,
    /// Tasks in one round of spawns.
    pub(crate) tasks: u64,
    only: Vec<String>,
}

impl Settings {
    /// Cargo passes its own flags, such as `--bench`: an unknown one is not an error.
    pub(crate) fn of_this_process() -> Self {
        let (flags, only): (Vec<_>, Vec<_>) =
            std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
        let quick = flags.iter().any(|flag| flag == "--quick");
        Self {
            quick,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            rounds: if quick { 7 } else { 15 },
            calls: if quick { 100_000 } else { 400_000 },
            items: if quick { 200_000 } else { 1_000_000 },
            tasks: if quick { 50_000 } else { 200_000 },
            only,
        }
    }

    /// Whether a part of the table is to be measured.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.names(part)
    }

    /// The same for one that takes its time.
    pub(crate) fn names(&self, part: &str) -> bool {
        self.only.iter().any(|only| only == part)
    }

    /// The runtime that a program has by default: one worker for each core.
    pub(crate) fn all_cores(&self) -> Runtime {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(self.cores).enable_all();
        builder.build().expect("the operating system gives threads")
    }
}
