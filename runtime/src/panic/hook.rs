//! The panic hook, which records the location of a panic.
//!
//! Invariants
//!
//! 1. The hook is installed once and chains: the previous hook always runs first.
//! 2. The hook stores a site only inside [`catch`](super::catch), and takes no lock of this crate: code may panic under
//!    one.
//! 3. No supervised run waits for the hook: installing it takes a lock of `std`, which a blocking panic hook holds. A
//!    run continues without it after [`INSTALL_TIMEOUT`], and its panics have no location until it is installed.
//!    (`tests/spec/composition/panic_reports.rs`)

use std::{
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use crate::panic::leave_site;

/// How long a run waits for the hook to be installed, which usually takes some microseconds.
const INSTALL_TIMEOUT: Duration = Duration::from_millis(10);

/// Installs the hook, once for the process.
///
/// Returns when it is installed, or when [`INSTALL_TIMEOUT`] has passed, since `std` waits for a hook that is running.
/// (While it waits, a panic elsewhere waits too: `std` starts no hook while another one waits to be installed.)
#[cold]
pub(crate) fn install() {
    static HOOK: Mutex<Hook> = Mutex::new(Hook::Absent);
    let lock = || HOOK.lock().unwrap_or_else(PoisonError::into_inner);

    let (installed, is_installed) = mpsc::channel();
    let mut hook = lock();
    match &mut *hook {
        Hook::Installed => return,
        Hook::Awaited(waiting) => waiting.push(installed),
        Hook::Absent => {
            let spawned =
                thread::Builder::new().name("supervised-hook".to_owned()).spawn(move || {
                    chain_hook();
                    drop(std::mem::replace(&mut *lock(), Hook::Installed));
                });
            // Without a thread, the next function that runs for the first time tries again.
            if spawned.is_err() {
                return;
            }
            *hook = Hook::Awaited(vec![installed]);
        }
    }
    drop(hook);
    // Nothing is ever sent: the drop of the sender ends the wait.
    _ = is_installed.recv_timeout(INSTALL_TIMEOUT);
}

enum Hook {
    Absent,
    /// A thread installs it, as soon as no hook is running, and then drops what the others wait for.
    Awaited(Vec<mpsc::Sender<()>>),
    Installed,
}

fn chain_hook() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        previous(info);
        if let Some(location) = info.location() {
            leave_site(location, info.payload());
        }
    }));
}
