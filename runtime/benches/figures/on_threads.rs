//! The same program on several threads at once.

use std::{future::Future, sync::Barrier, thread};

use tokio::runtime::Builder;

/// Each thread has its own runtime, and none starts before all are ready. Ends with the slowest.
pub(crate) fn on_threads<F: Future>(threads: usize, program: impl Fn() -> F + Sync) {
    let begin = Barrier::new(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let runtime = Builder::new_current_thread().build();
                let runtime = runtime.expect("the operating system gives a runtime");
                begin.wait();
                runtime.block_on(program());
            });
        }
    });
}
