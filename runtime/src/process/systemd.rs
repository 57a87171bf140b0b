//! The messages of a program under `#[supervised::main]` to systemd, if systemd started it (`Type=notify`).
//!
//! A message is a datagram to the service manager's socket, whose queue is full if the manager does not read. Nothing
//! waits for it without a bound: [`ready`] not at all, the exit within a time limit, the watchdog on its own thread.

#[cfg(feature = "systemd")]
use std::io;
use std::{
    sync::mpsc::{SyncSender, sync_channel},
    thread,
    time::Duration,
};

use tokio::{runtime::Runtime, time::sleep};

use crate::{bounded, bounded::REPORT_TIMEOUT, service_manager as manager};

/// Notifies systemd that the service has started: `READY=1`. A unit of `Type=notify` counts as starting until then.
///
/// Call it when the service starts to serve: when its listeners are bound, not when `main` starts. A program that
/// [runs `Services`](crate::Services::run) need not call it: the message is sent when all of them are ready.
///
/// [`#[supervised::main]`](crate::supervised::main) sends the other messages. `STOPPING=1` with the time that its grace
/// may take (`EXTEND_TIMEOUT_USEC`) is sent at the first signal, or when its body has ended with pools to drain.
/// `WATCHDOG=1` is sent twice in the unit's `WatchdogSec`, if it has one, while the runtime makes progress: when every
/// worker is blocked, systemd receives nothing, and restarts the service.
///
/// If systemd did not start the process, it does nothing. Callable from any thread; it may be called again. It does not
/// block.
///
/// ```no_run
/// use tokio_supervised::{CancellationToken, supervised, systemd};
///
/// #[supervised::main]
/// async fn main(token: CancellationToken) -> anyhow::Result<()> {
///     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
///     systemd::ready()?;
///     // … serve until `token` fires …
/// #   token.cancelled().await;
/// #   drop(listener);
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// If the service manager's socket does not accept the message, or is not a path (systemd's is one). The unit would wait
/// for the message until its `TimeoutStartSec`. `WouldBlock` means that the socket's queue is full, since the manager
/// does not read it: another call may succeed later.
#[cfg(feature = "systemd")]
pub fn ready() -> io::Result<()> {
    manager::notify("READY=1", Duration::ZERO)
}

/// Announces that the process is stopping, and its time limit.
pub(crate) fn stopping(within: Duration) {
    if !manager::is_present() {
        return;
    }
    bounded::report(move || {
        // If it is not received, the manager's own timeout applies: there is no one to report that to.
        let message = format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={}", within.as_micros());
        _ = manager::notify(&message, REPORT_TIMEOUT);
    });
}

/// Sends the watchdog its messages as long as the runtime runs tasks.
pub(crate) fn watch(runtime: &Runtime) {
    let Some(period) = manager::watchdog().map(|period| period / 2) else { return };
    if period.is_zero() {
        return;
    }
    // One pending beat is enough.
    let (beat, beats) = sync_channel(1);
    let sender = thread::Builder::new().name("supervised-systemd".to_owned()).spawn(move || {
        for () in beats {
            // A lost message does not matter: the next one says the same.
            _ = manager::notify("WATCHDOG=1", period);
        }
    });
    // Without a thread there are no messages, and the manager restarts the service.
    if sender.is_ok() {
        #[expect(clippy::disallowed_methods, reason = "it ends with the runtime that it watches")]
        runtime.spawn(heart(period, beat));
    }
}

/// A task like any other: it is polled only if a worker is free.
async fn heart(period: Duration, beat: SyncSender<()>) {
    loop {
        _ = beat.try_send(());
        sleep(period).await;
    }
}
