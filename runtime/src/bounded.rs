//! Runs foreign code with a time limit: the user's subscriber, a standard stream, a destructor. Each may block or
//! panic, and none may delay the end of a process or of a test.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

/// How long the end of a process or of a test waits for each report and each flush.
pub(crate) const REPORT_TIMEOUT: Duration = Duration::from_millis(500);

/// Runs `code` as [`run`] does, for at most [`REPORT_TIMEOUT`].
pub(crate) fn report(code: impl FnOnce() + Send + 'static) {
    run(REPORT_TIMEOUT, code);
}

/// Runs `code` on a dedicated thread. Returns after `limit` even if it has not finished.
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
        // Nothing is ever sent: the thread's end, also by a panic, ends the wait.
        Ok(_) => _ = is_done.recv_timeout(limit),
        // The system refuses a thread: run it without a limit rather than not at all.
        Err(_) => run_once(&code),
    }
}

fn run_once<F: FnOnce()>(code: &Mutex<Option<F>>) {
    let code = code.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(code) = code {
        code();
    }
}
