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
//! 4. The hook waits at most [`CAPTURE_TIMEOUT`] while [`symbolise`] runs. `std` has one lock for each capture and each
//!    symbolisation, and the first symbolisation of a process holds it for 150 ms: without this, a second panic would
//!    block its worker for as long. A panic that has waited in vain has no backtrace.
//!    (`tests/spec/composition/panic_reports.rs`)

use std::{
    backtrace::Backtrace,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use crate::panic::leave_site;

/// How long a run waits for the hook to be installed, which usually takes some microseconds.
const INSTALL_TIMEOUT: Duration = Duration::from_millis(10);

/// How long a panic waits to capture its backtrace.
const CAPTURE_TIMEOUT: Duration = Duration::from_millis(5);

/// How many panics capture their backtraces now.
static CAPTURING: AtomicUsize = AtomicUsize::new(0);

/// Whether [`symbolise`] runs, or is about to.
static SYMBOLISING: AtomicBool = AtomicBool::new(false);

/// Captures a backtrace, unless another one is symbolised for too long.
fn capture() -> Backtrace {
    let since = Instant::now();
    loop {
        CAPTURING.fetch_add(1, SeqCst);
        // Checked after the count is raised: `symbolise` sets this first, and then checks the count.
        let captured = (!SYMBOLISING.load(SeqCst)).then(Backtrace::force_capture);
        CAPTURING.fetch_sub(1, SeqCst);
        if let Some(captured) = captured {
            return captured;
        }
        if since.elapsed() >= CAPTURE_TIMEOUT {
            return Backtrace::disabled();
        }
        nap();
    }
}

/// Symbolises and prints a backtrace. Called by one thread at a time.
pub(super) fn symbolise(backtrace: &Backtrace) -> String {
    let _symbolising = Symbolising::start();
    while CAPTURING.load(SeqCst) > 0 {
        nap();
    }
    backtrace.to_string()
}

/// Makes captures wait until it is dropped.
struct Symbolising;

impl Symbolising {
    fn start() -> Self {
        SYMBOLISING.store(true, SeqCst);
        Self
    }
}

impl Drop for Symbolising {
    fn drop(&mut self) {
        SYMBOLISING.store(false, SeqCst);
    }
}

fn nap() {
    #[expect(clippy::disallowed_methods, reason = "the panicking thread waits at most 5 ms")]
    thread::sleep(Duration::from_micros(200));
}

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
            leave_site(location, info.payload(), capture);
        }
    }));
}
