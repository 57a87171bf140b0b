//! A panic with a subscriber, until its caller has the error: row 11.
//!
//! Only the first panic of a process pays for what is made once. Therefore each round is a separate process. It then panics
//! [`LATER`] times more, which is fewer than are logged one by one in a second.

use std::{
    env, io,
    panic::{self, AssertUnwindSafe},
    process::{Command, Stdio},
    time::Instant,
};

use futures::FutureExt as _;
use tokio::runtime::Builder;
use tokio_supervised::{CancellationToken, TaskError, supervised};
use tracing_subscriber::{fmt, layer::SubscriberExt as _};

use crate::{
    report::{self, Goal},
    settings::Settings,
    spread::{Ratio, Spread},
};

/// The argument of a process that panics, and what does so in it.
const PANIC: &str = "--panic";
const CONTENDERS: [&str; 2] = ["supervised", "by-hand"];

const LATER: usize = 8;

async fn body(n: u64) -> Result<u64, TaskError> {
    panic!("{n}")
}

#[supervised]
async fn ours(n: u64) -> Result<u64, TaskError> {
    panic!("{n}")
}

/// Panics caught, and logged with their backtrace by the hook.
async fn by_hand(n: u64) -> Result<u64, ()> {
    AssertUnwindSafe(body(n)).catch_unwind().await.map_or(Err(()), |ended| ended.map_err(drop))
}

/// Panics, if this process is one of this module's. Returns whether it is.
pub(crate) fn is_asked() -> bool {
    let mut arguments = env::args().skip_while(|argument| argument != PANIC).skip(1);
    let Some(contender) = arguments.next() else { return false };
    let subscriber = tracing_subscriber::registry().with(fmt::layer().with_writer(io::sink));
    tracing::subscriber::set_global_default(subscriber).expect("it is the first subscriber");
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the operating system gives a runtime");
    let token = CancellationToken::new();
    if contender == CONTENDERS[0] {
        // The default hook prints each panic.
        panic::set_hook(Box::new(|_| ()));
        runtime.block_on(async { panic_again(|n| ours(&token, n)).await });
    } else {
        panic::set_hook(Box::new(|panic| {
            let backtrace = std::backtrace::Backtrace::force_capture();
            tracing::error!(%panic, %backtrace, "panicked");
        }));
        runtime.block_on(panic_again(by_hand));
    }
    true
}

/// Prints the nanoseconds of each panic.
async fn panic_again<F: Future<Output = Result<u64, E>>, E>(call: impl Fn(u64) -> F) {
    for n in 0..=LATER as u64 {
        let start = Instant::now();
        let ended = call(n).await;
        let taken = start.elapsed();
        assert!(ended.is_err(), "the body panics");
        println!("{}", taken.as_nanos());
    }
}

/// The nanoseconds of the first panic of a process, and of the middle one of the later ones.
fn of_a_process(contender: &str) -> [f64; 2] {
    let program = env::current_exe().expect("the program has a path");
    let output = Command::new(program)
        .args([PANIC, contender])
        .env_remove("RUST_BACKTRACE")
        .env_remove("RUST_LIB_BACKTRACE")
        .stderr(Stdio::inherit())
        .output()
        .expect("the program starts again");
    let printed = String::from_utf8(output.stdout).expect("numbers are UTF-8");
    let mut nanos = printed.lines().map(|line| line.parse().expect("a line is a number"));
    let first = nanos.next().expect("it panics");
    let later: Vec<f64> = nanos.collect();
    assert_eq!(later.len(), LATER, "it panics again");
    [first, Spread::of(later.into_iter()).median]
}

pub(crate) fn run(settings: &Settings) {
    let rounds: Vec<_> = (0..settings.rounds).map(|_| CONTENDERS.map(of_a_process)).collect();
    report::row(11, "a panic with a subscriber, until its caller has the error");
    let micros = |contender: usize, panic: usize| {
        Spread::of(rounds.iter().map(move |round| round[contender][panic] / 1e3))
    };
    let (first, later) = (Goal::AtMost(5_000.0), Goal::AtMost(50.0));
    report::duration("the first panic of a process", &micros(0, 0), "us", first);
    report::duration("a later one", &micros(0, 1), "us", later);
    let what = "by hand: catch_unwind, and a hook that logs the backtrace";
    for (at, which) in ["first", "later"].into_iter().enumerate() {
        let ratio = rounds.iter().map(|[ours, hand]| ours[at] / hand[at]);
        let by_hand = micros(1, at);
        println!("    {what:<54} {which:<7} {:>9.1} us {}", by_hand.median, by_hand.shown(1));
        let ratio = Ratio { time: Spread::of(ratio), counts: None };
        report::ratio_alone(&format!("{which}: supervised to by hand"), &ratio);
    }
}
