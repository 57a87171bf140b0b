//! Explores schedules, and reports how to repeat a failing one.
//!
//! Invariants
//!
//! 1. A schedule depends on its seed alone. Each test has a separate process. One-time initialisation of a process
//!    happens in a first execution that is the same every time and belongs to no seed.
//! 2. A schedule ends: one that takes too many steps or too long fails.

use core::{
    cell::RefCell,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};
use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook},
    process::Command,
    rc::Rc,
    thread,
    time::Duration,
};

use shuttle::{
    Config, FailurePersistence, MaxSteps, Runner,
    scheduler::{Schedule, Scheduler, Task, TaskId},
};

use crate::order::{Order, Random};

/// More steps than any test program takes: a program that exceeds them loops.
const MOST_STEPS: usize = 200_000;

/// A schedule takes about a millisecond.
const LONGEST: Duration = Duration::from_secs(60);

/// For each test, unless the environment sets another number.
const SCHEDULES: u64 = 1_000;

/// Marks the process of a single test.
const ALONE: &str = "SCHEDULES_ALONE";

/// Requests a hash of each order.
pub(crate) const TRACE: &str = "SCHEDULES_TRACE";

/// A test that explores schedules.
macro_rules! in_many_orders {
    (async fn $name:ident() $program:block) => {
        #[test]
        fn $name() {
            crate::explore::explore(concat!(module_path!(), "::", stringify!($name)), || async {
                $program
            });
        }
    };
}

/// Runs the program in as many orders as the environment says.
///
/// # Panics
///
/// If one of them panics, or a task waits for ever; the seed is printed.
pub(crate) fn explore<F>(path: &'static str, program: fn() -> F)
where
    F: Future<Output = ()> + 'static,
{
    let (_, test) = path.split_once("::").expect("a test is in a module");
    if std::env::var_os(ALONE).is_some() {
        return alone(test, program);
    }
    let child = in_a_process_of_its_own(test).output().expect("the test starts");
    print!("{}", String::from_utf8_lossy(&child.stdout));
    eprint!("{}", String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{test}");
}

pub(crate) fn in_a_process_of_its_own(test: &str) -> Command {
    let this = std::env::current_exe().expect("the test has a path");
    let mut command = Command::new(this);
    command.args([test, "--exact", "--nocapture"]).env(ALONE, "");
    command
}

fn alone<F>(test: &'static str, program: fn() -> F)
where
    F: Future<Output = ()> + 'static,
{
    let from_environment = |key| Some(std::env::var(key).ok()?.parse().expect("a number"));
    let seeds = match from_environment("SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..1 + from_environment("SCHEDULES").unwrap_or(SCHEDULES),
    };
    let explored = Rc::new(RefCell::new(Explored::default()));
    let explorer = Explorer {
        seeds: std::iter::once(0).chain(seeds).collect(),
        explored: explored.clone(),
        random: Random::new(0),
        order: Order::Drawn { stays: 0 },
        step: 0,
        steps: 0,
        hasher: DefaultHasher::new(),
    };
    thread::spawn(watch);
    report_panics();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        Runner::new(explorer, config()).run(move || tokio::schedule::first(program()));
    }));
    let Explored { count, longest, different } = &*explored.borrow();
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
    let different = different.len();
    println!("{test}: {count} schedules, {different} different, of {longest} steps at most");
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    config.silence_warnings = true;
    config
}

/// Of the current schedule.
static SEED: AtomicU64 = AtomicU64::new(0);

/// A panic that reaches a hook is not intended by the tests, even if the runtime catches it.
static PANICKED: AtomicBool = AtomicBool::new(false);

fn report_panics() {
    let before = take_hook();
    set_hook(Box::new(move |panic| {
        if !PANICKED.swap(true, SeqCst) {
            eprintln!("this schedule fails: SEED={}", SEED.load(SeqCst));
        }
        before(panic);
    }));
}

/// Ends the process if a schedule waits for something outside of all schedules.
fn watch() {
    loop {
        let seed = SEED.load(SeqCst);
        #[expect(
            clippy::disallowed_methods,
            reason = "the watchdog's own thread, which synchronises with nothing"
        )]
        thread::sleep(LONGEST);
        if SEED.load(SeqCst) == seed {
            eprintln!("this schedule hangs: SEED={seed}");
            std::process::exit(1);
        }
    }
}

/// A number drawn from the schedule's seed.
pub(crate) fn below(bound: usize) -> usize {
    use shuttle::rand::Rng;

    shuttle::rand::thread_rng().gen_range(0..bound)
}

/// One of them.
pub(crate) fn any<T: Copy>(of: &[T]) -> T {
    of[below(of.len())]
}

#[derive(Default)]
struct Explored {
    count: usize,
    longest: usize,
    different: HashSet<u64>,
}

struct Explorer {
    seeds: VecDeque<u64>,
    explored: Rc<RefCell<Explored>>,
    random: Random,
    order: Order,
    step: usize,
    /// As many steps as the first execution took.
    steps: usize,
    hasher: DefaultHasher,
}

impl Explorer {
    fn end(&mut self) {
        if self.step == 0 {
            return;
        }
        let order = self.hasher.finish();
        if std::env::var_os(TRACE).is_some() {
            println!("{}: {order:x} in {} steps", SEED.load(SeqCst), self.step);
        }
        let mut explored = self.explored.borrow_mut();
        explored.longest = explored.longest.max(self.step);
        if self.steps == 0 {
            self.steps = self.step;
        } else {
            explored.count += 1;
            explored.different.insert(order);
        }
        self.step = 0;
        self.hasher = DefaultHasher::new();
    }
}

impl Scheduler for Explorer {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.end();
        assert!(!PANICKED.load(SeqCst), "a task panicked, and the runtime caught it");
        let seed = self.seeds.pop_front()?;
        SEED.store(seed, SeqCst);
        self.random = Random::new(seed);
        // The source of a backoff's randomness.
        fastrand::seed(seed);
        self.order = Order::draw(&mut self.random, self.steps.max(1));
        Some(Schedule::new(seed))
    }

    fn next_task(
        &mut self,
        ready: &[&Task],
        current: Option<TaskId>,
        yields: bool,
    ) -> Option<TaskId> {
        let next = self.order.next(&mut self.random, self.step, ready, current, yields);
        self.step += 1;
        usize::from(next).hash(&mut self.hasher);
        Some(next)
    }

    fn next_u64(&mut self) -> u64 {
        self.random.next()
    }
}
