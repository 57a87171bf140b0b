//! SIGUSR1 prints the live tasks; the process continues.

use std::{
    io::{self, Write as _},
    sync::{Mutex, TryLockError},
    thread,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::process::report;

/// Listens for SIGUSR1 when this returns. The future that it returns prints, and never ends.
pub(crate) fn on_request() -> io::Result<impl Future<Output = ()>> {
    let mut requests = signal(SignalKind::user_defined1())?;
    Ok(async move {
        while requests.recv().await.is_some() {
            print();
        }
    })
}

/// Prints on a separate thread: a stderr that blocks must not delay a signal that ends the process.
fn print() {
    static PRINTS: Mutex<()> = Mutex::new(());
    let thread = thread::Builder::new().name("supervised-tree".to_owned());
    // The system refuses a thread: this request prints nothing.
    _ = thread.spawn(|| {
        let prints = PRINTS.try_lock();
        if matches!(prints, Err(TryLockError::WouldBlock)) {
            return;
        }
        let text =
            format!("Live tasks of process {}:\n{}", std::process::id(), report::running_tasks());
        _ = io::stderr().write_all(text.as_bytes());
    });
}
