//! A signal at any point of a program's life.

use std::{
    os::unix::process::ExitStatusExt,
    thread,
    time::{Duration, Instant},
};

use crate::start;
use testkit::program::SIGTERM;

/// Its grace of 1 s, the time that the runtime may take, and a tolerance for a busy machine.
const LONGEST: Duration = Duration::from_secs(1 + 2 + 6);

#[test]
fn a_signal_at_any_point_ends_the_process_as_documented() {
    for run in 0..30 {
        let mut program = start("spent", "storm");
        program.wait_for("READY");
        #[expect(
            clippy::disallowed_methods,
            reason = "not for synchronisation: it varies the point of the signal"
        )]
        thread::sleep(Duration::from_millis(run * 7));
        let sent = Instant::now();
        program.send(SIGTERM);
        let ended = program.end();
        let (code, signal) = (ended.status.code(), ended.status.signal());
        assert!(
            code == Some(0) || signal == Some(15),
            "run {run}: {} {:?}",
            ended.status,
            ended.stderr
        );
        assert!(sent.elapsed() < LONGEST, "run {run}: {:?}", sent.elapsed());
    }
}
