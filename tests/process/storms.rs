//! Storms of signals on mains of every kind, at random moments.
//!
//! 1. The process ends with a code that is documented for its kind and for the signals that it got.
//! 2. It ends within its grace and a second from the first signal that asks for it. The test measures and tolerates
//!    how late this machine is, and the time that SIGSTOP held the process.
//! 3. A signal before READY may meet its default action, or a body that has not started yet: death by the signal is
//!    legal then.
//!
//! `SEED=…` repeats the same storms; `STORMS=200` sets their number.

use std::{
    collections::BTreeMap,
    os::unix::process::ExitStatusExt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal::{SIGCONT, SIGHUP, SIGSTOP};

use crate::start;
use testkit::program::{Ended, SIGINT, SIGTERM, SIGUSR1, Signal};
use testkit::random::Random;

const GRACE: Duration = Duration::from_secs(1);
const AFTER_THE_GRACE: Duration = Duration::from_secs(1);

/// How many processes run at once.
const AT_ONCE: usize = 3;

/// How a main ends after one signal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    With(i32),
    /// Killed by the signal.
    ByTheSignal,
}

const SHAPES: [(&str, Ends); 14] = [
    ("cooperates", Ends::With(0)),
    ("hands on its cancellation", Ends::ByTheSignal),
    ("ignores its token", Ends::With(75)),
    ("blocks its worker", Ends::With(75)),
    ("panics on cancel", Ends::With(101)),
    ("fails on cancel", Ends::With(1)),
    ("returns quickly", Ends::With(0)),
    ("leaves a blocking thread", Ends::With(0)),
    ("drains a pool", Ends::With(0)),
    ("leaves a pool", Ends::With(0)),
    ("leaves a deaf pool", Ends::With(75)),
    ("is in sections", Ends::ByTheSignal),
    ("is in long sections", Ends::With(75)),
    ("has no token", Ends::ByTheSignal),
];

struct Storm {
    shape: &'static str,
    ends: Ends,
    /// Before the program reports that it is ready.
    is_early: bool,
    /// Each after this many milliseconds; the last one asks it to stop.
    signals: Vec<(u64, Signal)>,
    /// How long SIGSTOP holds it, after the first signal that asks it to stop.
    held: Option<u64>,
}

impl Storm {
    /// The first of each kind get one signal, so that each kind reaches its own end.
    fn draw(number: usize, random: &mut Random) -> Self {
        let (shape, ends) = SHAPES[number % SHAPES.len()];
        let last = [SIGINT, SIGTERM][random.below(2)];
        if number < SHAPES.len() {
            let signals = vec![(random.below(60) as u64, SIGUSR1), (random.below(60) as u64, last)];
            return Self { shape, ends, is_early: false, signals, held: None };
        }
        let kinds = [SIGINT, SIGTERM, SIGUSR1, SIGUSR1, SIGINT, SIGTERM, SIGHUP];
        let mut signals: Vec<_> = (0..random.below(5))
            .map(|_| (random.below(60) as u64, kinds[random.below(kinds.len())]))
            .collect();
        signals.push((random.below(200) as u64, last));
        let held = (random.below(5) == 0).then(|| 100 + random.below(1_500) as u64);
        Self { shape, ends, is_early: random.below(8) == 0, signals, held }
    }

    fn received(&self, signal: i32) -> bool {
        self.signals.iter().any(|(_, sent)| *sent as i32 == signal)
    }

    /// Whether a second signal may have ended it.
    fn may_exit_at_once_with(&self, code: i32) -> bool {
        let asks = |signal: Signal| signal == SIGINT || signal == SIGTERM;
        let count = self.signals.iter().filter(|(_, sent)| asks(*sent)).count();
        count > 1 && [130, 143].contains(&code) && self.received(code - 128)
    }

    fn allows(&self, ended: &Ended, was_ready: bool, took: Duration) -> bool {
        match (ended.status.code(), ended.status.signal()) {
            // On a busy machine, any kind may spend its grace.
            (Some(75), None) => took >= GRACE,
            (Some(code), None) => self.ends == Ends::With(code) || self.may_exit_at_once_with(code),
            (None, Some(signal)) if !was_ready => self.received(signal),
            (None, Some(signal)) if signal == SIGHUP as i32 => self.received(signal),
            (None, Some(signal)) => {
                [SIGINT as i32, SIGTERM as i32].contains(&signal)
                    && self.received(signal)
                    && self.ends == Ends::ByTheSignal
            }
            _ => false,
        }
    }
}

/// The result of a storm.
struct Outcome {
    ended: String,
    shape: &'static str,
    took: Duration,
    complaint: Option<String>,
}

fn wait(millis: u64) {
    #[expect(
        clippy::disallowed_methods,
        reason = "not for synchronisation: it varies the points of the signals"
    )]
    thread::sleep(Duration::from_millis(millis));
}

fn storm(storm: &Storm, lag: &Lag) -> Outcome {
    let mut program = start("shapes", storm.shape);
    if !storm.is_early {
        program.wait_for("READY");
    }
    let lag_before = lag.worst();
    let (mut asked, mut held) = (None, Duration::ZERO);
    for (after, signal) in &storm.signals {
        wait(*after);
        // Read before the signal is sent: the process may start its grace before this thread continues.
        let now = Instant::now();
        program.send(*signal);
        if *signal == SIGUSR1 || asked.is_some() {
            continue;
        }
        asked = Some(now);
        if let Some(millis) = storm.held {
            let started = Instant::now();
            program.send(SIGSTOP);
            wait(millis);
            program.send(SIGCONT);
            held = started.elapsed();
        }
    }
    let ended = program.end();
    let took = asked.expect("the last signal asks it to stop").elapsed();
    let was_ready = ended.stdout.lines().any(|line| line == "READY");
    let longest = GRACE + AFTER_THE_GRACE + held + 4 * lag.worst().max(lag_before);
    let complaint = if !storm.allows(&ended, was_ready, took) {
        Some(format!("{} is not documented for it", ended.status))
    } else if took > longest {
        Some(format!("it took {took:?}, and {longest:?} at the longest"))
    } else {
        None
    };
    let complaint = complaint.map(|complaint| {
        let Storm { shape, signals, held, is_early, .. } = storm;
        format!(
            "`{shape}` {signals:?} held: {held:?} early: {is_early}: {complaint}\n{}",
            ended.stderr
        )
    });
    let code = match (ended.status.code(), ended.status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (_, signal) if was_ready => format!("by signal {}", signal.unwrap_or_default()),
        (_, signal) => format!("by signal {} before READY", signal.unwrap_or_default()),
    };
    Outcome { ended: code, shape: storm.shape, took: took.saturating_sub(held), complaint }
}

/// The maximum delay of a wake-up on this machine, in microseconds.
#[derive(Clone, Default)]
struct Lag(Arc<(AtomicU64, AtomicBool)>);

impl Lag {
    fn watch(&self) -> thread::JoinHandle<()> {
        let Self(lag) = self.clone();
        thread::spawn(move || {
            while !lag.1.load(SeqCst) {
                let started = Instant::now();
                wait(10);
                let late = started.elapsed().saturating_sub(Duration::from_millis(10));
                lag.0.fetch_max(late.as_micros() as u64, SeqCst);
            }
        })
    }

    fn worst(&self) -> Duration {
        Duration::from_micros(self.0.0.load(SeqCst))
    }

    fn stop(&self, watch: thread::JoinHandle<()>) {
        self.0.1.store(true, SeqCst);
        watch.join().expect("the task only waits");
    }
}

#[test]
fn a_storm_of_signals_ends_every_kind_of_main_as_documented() {
    let storms = std::env::var("STORMS").ok().and_then(|storms| storms.parse().ok());
    let storms: usize = storms.unwrap_or(2 * SHAPES.len());
    let mut random = Random::from_environment();
    let drawn: Vec<_> = (0..storms).map(|number| Storm::draw(number, &mut random)).collect();
    let (next, outcomes, lag) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Lag::default());
    let watch = lag.watch();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(drawn) = drawn.get(next.fetch_add(1, SeqCst)) {
                    let outcome = storm(drawn, &lag);
                    outcomes.lock().expect("no storm panics").push(outcome);
                }
            });
        }
    });
    lag.stop(watch);
    let outcomes = outcomes.into_inner().expect("no storm panics");
    let (mut ends, mut longest) = (BTreeMap::new(), Duration::ZERO);
    let mut of_shapes: BTreeMap<_, BTreeMap<_, u32>> = BTreeMap::new();
    for Outcome { ended, shape, took, .. } in &outcomes {
        *ends.entry(ended).or_insert(0_u32) += 1;
        *of_shapes.entry(shape).or_default().entry(ended).or_default() += 1;
        longest = longest.max(*took);
    }
    println!("{storms} storms: {ends:?}");
    println!("longest: {longest:?} from the first signal; worst lag: {:?}", lag.worst());
    for (shape, ends) in of_shapes {
        println!("  {shape}: {ends:?}");
    }
    let complaints: Vec<_> = outcomes.into_iter().filter_map(|run| run.complaint).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
