//! The options of the runtime of a main or a test.

use tokio::runtime::Builder;

#[derive(Clone, Copy)]
pub(crate) struct RuntimeOptions {
    current_thread: bool,
    worker_threads: Option<usize>,
}

impl RuntimeOptions {
    /// A worker for each core.
    pub(crate) const DEFAULT: Self = Self { current_thread: false, worker_threads: None };

    pub(crate) const fn current_thread(mut self) -> Self {
        self.current_thread = true;
        self
    }

    pub(crate) const fn worker_threads(mut self, threads: usize) -> Self {
        assert!(threads > 0, "`worker_threads` must not be 0");
        self.worker_threads = Some(threads);
        self
    }

    /// Returns a builder with these options, and with timers and I/O enabled.
    pub(crate) fn builder(&self) -> Builder {
        let mut builder = if self.current_thread {
            Builder::new_current_thread()
        } else {
            Builder::new_multi_thread()
        };
        if let Some(threads) = self.worker_threads {
            builder.worker_threads(threads);
        }
        builder.enable_all();
        builder
    }
}
