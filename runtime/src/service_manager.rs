//! The service manager's socket: systemd's, if it started the process (`Type=notify`).

#[cfg(all(unix, feature = "systemd"))]
pub(crate) use by_systemd::{is_present, notify, watchdog};
#[cfg(not(all(unix, feature = "systemd")))]
pub(crate) use without::{is_present, notify, watchdog};

#[cfg(all(unix, feature = "systemd"))]
mod by_systemd {
    use std::{env, io, os::unix::net::UnixDatagram, process, time::Duration};

    const SOCKET: &str = "NOTIFY_SOCKET";

    pub(crate) fn is_present() -> bool {
        env::var_os(SOCKET).is_some()
    }

    /// Sends within that time, or without waiting if it is zero.
    pub(crate) fn notify(what: &str, within: Duration) -> io::Result<()> {
        let Some(path) = env::var_os(SOCKET) else { return Ok(()) };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(within.is_zero())?;
        if !within.is_zero() {
            socket.set_write_timeout(Some(within))?;
        }
        socket.connect(path)?;
        let message = format!("{what}\n");
        let sent = socket.send(message.as_bytes())?;
        if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Returns the unit's watchdog time, if it is for this process.
    pub(crate) fn watchdog() -> Option<Duration> {
        let number = |name| env::var(name).ok()?.parse::<u64>().ok();
        let for_process = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        number("WATCHDOG_USEC").filter(|_| for_process).map(Duration::from_micros)
    }
}

#[cfg(not(all(unix, feature = "systemd")))]
mod without {
    use std::{io, time::Duration};

    pub(crate) fn is_present() -> bool {
        false
    }

    pub(crate) fn notify(_: &str, _: Duration) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn watchdog() -> Option<Duration> {
        None
    }
}
