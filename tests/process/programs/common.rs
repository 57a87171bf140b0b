//! Helpers that the programs share.

#![allow(dead_code, reason = "no program uses all of this module")]

use std::{fmt, io::Write};

use tokio::sync::Semaphore;

/// A permit for each running body.
static BODIES: Semaphore = Semaphore::const_new(0);

/// Called at the start of a body that must be running when the signal arrives.
pub(crate) fn body_runs() {
    BODIES.add_permits(1);
}

/// Waits until this many bodies run. A signal rejects a spawned task before its first poll.
pub(crate) async fn bodies_run(bodies: u32) {
    BODIES.acquire_many(bodies).await.expect("the semaphore is never closed").forget();
}

/// The body that the test selects.
pub(crate) fn wanted() -> String {
    let argument = std::env::args().nth(1).expect("the test names a body");
    argument.split_once(": ").map(|(_, body)| body.to_owned()).unwrap_or(argument)
}

/// Reports to the test, which reads stdout by the line.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").expect("the test reads stdout");
    out.flush().expect("the test reads stdout");
}

/// Blocks this thread permanently.
pub(crate) fn block() -> ! {
    loop {
        std::thread::park();
    }
}

/// Prints on drop, without the newline that would flush it.
pub(crate) struct PrintsAtDrop;

impl Drop for PrintsAtDrop {
    fn drop(&mut self) {
        print!("dropped");
    }
}

/// An error that cannot be printed.
#[derive(Debug)]
pub(crate) struct BlockingReport;

impl fmt::Display for BlockingReport {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        say("REPORTING");
        block()
    }
}

impl std::error::Error for BlockingReport {}
