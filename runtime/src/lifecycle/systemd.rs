//! What a program under `#[supervised::main]` tells systemd, where it was started by it (`Type=notify`).
//!
//! Nothing here waits for the service manager: what is told on the way out goes through [`bounded`], and the
//! watchdog has a thread of its own.

#[cfg(feature = "systemd")]
use std::io;
use std::{
    sync::mpsc::{SyncSender, sync_channel},
    thread,
    time::Duration,
};

use tokio::{runtime::Runtime, time::sleep};

use super::bounded::{self, TELLING};

#[cfg(all(unix, feature = "systemd"))]
mod manager {
    use std::{io, time::Duration};

    use sd_notify::NotifyState;

    pub(super) fn is_there() -> bool {
        std::env::var_os("NOTIFY_SOCKET").is_some()
    }

    pub(super) fn tell(what: &str) -> io::Result<()> {
        sd_notify::notify(&[NotifyState::Custom(what)])
    }

    pub(super) fn watchdog() -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }
}

#[cfg(not(all(unix, feature = "systemd")))]
mod manager {
    use std::{io, time::Duration};

    pub(super) fn is_there() -> bool {
        false
    }

    pub(super) fn tell(_: &str) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn watchdog() -> Option<Duration> {
        None
    }
}

/// Tells systemd that the service has started: `READY=1`. A unit of `Type=notify` counts as starting until then.
///
/// Call it where the service begins to serve: when its listeners are bound, not when `main` begins. The rest
/// is told by [`#[supervised::main]`](crate::supervised::main) itself: `STOPPING=1` and how long its grace may
/// take (`EXTEND_TIMEOUT_USEC`) at the first signal, or when its body has ended and leaves pools to be drained;
/// and `WATCHDOG=1`, if the unit has a `WatchdogSec`, twice in that time, as long as the runtime turns over:
/// when every worker is blocked, systemd hears nothing, and restarts the service.
///
/// Where systemd did not start the process it does nothing. Callable from any thread; it may be called again.
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
/// Where the service manager's socket does not take the message, or is none with a path (systemd's has one). A unit would wait for it until its
/// `TimeoutStartSec`.
#[cfg(feature = "systemd")]
pub fn ready() -> io::Result<()> {
    manager::tell("READY=1")
}

/// The process is going down, and has so long until it is gone.
pub(super) fn stopping(within: Duration) {
    if !manager::is_there() {
        return;
    }
    bounded::run(TELLING, move || {
        // Where it is not heard, the manager's own timeout counts: there is nobody to tell that.
        _ = manager::tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={}", within.as_micros()));
    });
}

/// Tells the watchdog that the runtime turns over, until the runtime is gone.
pub(super) fn watch(runtime: &Runtime) {
    let Some(period) = manager::watchdog().map(|period| period / 2) else { return };
    if period.is_zero() {
        return;
    }
    // One beat that nobody has told yet is enough.
    let (beat, beats) = sync_channel(1);
    let teller = thread::Builder::new().name("supervised-systemd".to_owned()).spawn(move || {
        for () in beats {
            // A message that got lost is one beat less: the next one tells the same.
            _ = manager::tell("WATCHDOG=1");
        }
    });
    // Without a thread for it nothing is told, and the manager restarts the service.
    if teller.is_ok() {
        #[expect(clippy::disallowed_methods, reason = "it ends with the runtime that it watches")]
        runtime.spawn(heart(period, beat));
    }
}

/// A task like any other: it is polled only where a worker is free.
async fn heart(period: Duration, beat: SyncSender<()>) {
    loop {
        _ = beat.try_send(());
        sleep(period).await;
    }
}
