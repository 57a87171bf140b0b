//! Events, and the panic hook that stays silent if a subscriber receives them.

use std::{
    io, panic,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use tracing::Level;
use tracing_subscriber::fmt::{self, format};

use crate::arguments::Log;

/// Whether a subscriber receives the events.
static HEARD: AtomicBool = AtomicBool::new(false);

/// Suppresses the hook's print of a panic that is also logged as an event: otherwise it would be reported twice. To be
/// called before anything is supervised. The library installs its panic hook then, permanently: its hook calls the
/// previous one first, and a hook that is set later would lose the place of a panic.
pub(crate) fn replace_the_print() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !HEARD.load(Relaxed) {
            print(info);
        }
    }));
}

/// Writes events to standard error from now on.
pub(crate) fn hear(log: Log) {
    let subscriber = fmt().with_writer(io::stderr);
    match log {
        Log::Text => {
            let message = format::debug_fn(|to, field, value| match field.name() {
                "message" => write!(to, "{value:?}"),
                _ => Ok(()),
            });
            // The backtraces are events of level `INFO`.
            subscriber.with_max_level(Level::WARN).fmt_fields(message).init();
        }
        Log::Json => subscriber.json().flatten_event(true).init(),
    }
    HEARD.store(true, Relaxed);
}

fn fmt() -> fmt::SubscriberBuilder {
    fmt::Subscriber::builder().with_target(false)
}
