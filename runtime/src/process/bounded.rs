//! Foreign code at the end of a process: the user's subscriber, a standard stream, a destructor. Each may
//! block or panic, and none may hold the exit.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use crate::process::signals;
use crate::{panic::backtraces, telemetry::events};

/// How long the exit waits for what is told or flushed on its way.
pub(crate) const REPORT_TIMEOUT: Duration = Duration::from_millis(500);

/// Runs `code` on a thread of its own, and goes on without it after `limit`.
pub(crate) fn run(limit: Duration, code: impl FnOnce() + Send + 'static) {
    let code = Arc::new(Mutex::new(Some(code)));
    let (done, is_done) = mpsc::channel::<()>();
    let spawned = thread::Builder::new().name("supervised-exit".to_owned()).spawn({
        let code = code.clone();
        move || {
            let _done = done;
            run_once(&code);
        }
    });
    match spawned {
        // Nothing is ever sent: the end of the thread, also by a panic, ends the wait.
        Ok(_) => _ = is_done.recv_timeout(limit),
        // No thread to be had: unbounded is better than not at all.
        Err(_) => run_once(&code),
    }
}

/// Logs what waits to be logged: the process may end, and nobody does it later.
pub(crate) fn flush_logs() {
    if events::has_counted() || backtraces::are_in_use() {
        run(REPORT_TIMEOUT, || {
            events::flush_all();
            backtraces::flush();
        });
    }
}

fn run_once<F: FnOnce()>(code: &Mutex<Option<F>>) {
    let code = code.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(code) = code {
        code();
    }
}

/// Ends the process: as `std::process::exit` does, or without its hooks and flushes where they hang.
///
/// They hang on a pipe that nobody reads, or where another thread is exiting already.
pub(crate) fn exit(code: i32) -> ! {
    run(REPORT_TIMEOUT, move || std::process::exit(code));
    signals::end_at_once(code)
}
