//! A shield around work that is ready at once: row 10.

use std::{hint::black_box, time::Duration};

use tokio::{runtime::Builder, time::timeout};
use tokio_supervised::{CancellationToken, TaskError, shield, supervised};

use crate::{
    contest::{self, Contender},
    report::{self, Goal},
    settings::Settings,
};

const LIMIT: Duration = Duration::from_secs(60);

async fn section(n: u64) -> u64 {
    black_box(n)
}

/// Sections in one run, `$each` for each number.
macro_rules! sections {
    ($($name:ident |$n:ident| $each:expr;)*) => {$(
        #[supervised]
        async fn $name(sections: u64) -> Result<(), TaskError> {
            for $n in 0..sections {
                black_box($each.await);
            }
            Ok(())
        }
    )*};
}

sections! {
    bare |n| section(n);
    shielded |n| shield(LIMIT, |_token| section(n));
    spawned |n| by_hand(n);
}

/// A section that a cancelled caller does not drop, as one writes it.
async fn by_hand(n: u64) -> Option<u64> {
    tokio::spawn(timeout(LIMIT, section(n))).await.ok()?.ok()
}

pub(crate) fn run(settings: &Settings) {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = &runtime.expect("the operating system gives a runtime");
    let (token, sections) = (&CancellationToken::new(), settings.calls / 4);
    let contenders = vec![
        Contender::new("bare", "protection", || {
            runtime.block_on(bare(token, sections)).expect("no section fails");
        }),
        Contender::new("shield", "", || {
            runtime.block_on(shielded(token, sections)).expect("no section fails");
        }),
        Contender::new("spawn", "wait at the end of the program, metrics, name", || {
            runtime.block_on(spawned(token, sections)).expect("no section fails");
        }),
    ];
    let times = contest::hold(settings, "shield", contenders, settings.rounds, sections);
    report::row(10, "a shield around work that is ready at once, in a run");
    times.print("bare", "bare");
    times.print_over("shield", "bare", "shield, over bare");
    times.print_over("spawn", "bare", "tokio::spawn + timeout by hand, over bare");
    let instructions = times.counts_over("shield", "bare").map(|counts| counts.instructions);
    report::count("instructions of a shield, over bare", instructions, Goal::AtMost(500.0));
    let what = "shield to tokio::spawn + timeout, both over bare";
    report::ratio_alone(what, &times.ratio_over("shield", "spawn", "bare"));
}
