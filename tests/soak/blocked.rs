//! Polls that block a worker, in the long form: which ones a main reports, while threads and process are suspended.
//!
//! 1. From time to time a poll computes for 1.5 to 2 s of processor time: each one is reported.
//! 2. The process is stopped and continued, and a busy machine makes threads wait. No report is about a thread that was
//!    suspended: its processor time is at least half of the time for which the report says that it blocked. Other
//!    reports are listed.
//!
//! Linux says how much processor time a thread has used.

use std::{
    collections::VecDeque,
    fmt,
    process::{Child, Command, ExitCode},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::yield_now,
    time::sleep,
};
use tokio_supervised::{
    CancellationToken, LiveTask, Main, Pool, TaskState, stats, supervised, task,
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

use crate::PATIENCE;
use testkit::{Failed, random::Random};

const SPINNER: &str = "soak: lasting spinner";
const LIMIT: Duration = Duration::from_secs(1);
/// Between two polls that compute, and between two stops of the process: from this to twice as long.
const PAUSE: Duration = Duration::from_secs(10);
/// How long the process is stopped.
const STOPPED: &str = "2.5";
/// Between two readings of the processor times.
const SAMPLED: Duration = Duration::from_millis(50);
/// How many readings are kept: of one minute.
const KEPT: usize = 1200;
const MOST_WORKERS: usize = 16;

/// The numbers of the worker threads.
static WORKERS: Mutex<Vec<u64>> = Mutex::new(Vec::new());
/// The processor times of the workers, in their order.
static TIMES: Mutex<VecDeque<(Instant, [Duration; MOST_WORKERS])>> = Mutex::new(VecDeque::new());
static REPORTS: Mutex<Vec<Report>> = Mutex::new(Vec::new());
static PROVOKED: Mutex<Vec<Provoked>> = Mutex::new(Vec::new());
/// What the `WARN` of the report says that is about to call back.
static WARNED: Mutex<Option<Warned>> = Mutex::new(None);

/// The thread and the time of a `WARN`.
#[derive(Clone, Copy, Default)]
struct Warned {
    thread: Option<u64>,
    blocked: Duration,
}

/// A poll that was reported, as of its report.
#[derive(Clone)]
struct Report {
    name: &'static str,
    thread: Option<u64>,
    at: Instant,
    /// How long the poll had taken.
    poll: Duration,
    /// How long it had blocked its thread, as the event says.
    blocked: Duration,
    /// The processor time of its thread, at most this.
    processor: Option<Duration>,
}

/// A poll that has computed, after its end.
struct Provoked {
    thread: u64,
    started: Instant,
    ended: Instant,
    processor: Duration,
}

/// Records the workers of a runtime.
pub(crate) fn of_workers(runtime: &mut Builder) -> &mut Builder {
    thread_local! {
        static IS_KNOWN: AtomicBool = const { AtomicBool::new(false) };
    }
    // Only workers park.
    runtime.on_thread_park(|| {
        if !IS_KNOWN.with(|known| known.swap(true, Relaxed)) {
            lock(&WORKERS).extend(this_thread());
        }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn this_thread() -> Option<u64> {
    let thread = std::fs::read_link("/proc/thread-self").ok()?;
    thread.file_name()?.to_str()?.parse().ok()
}

/// The processor time of a thread since it started.
fn processor_time(thread: u64) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The main that reports, and what provokes its reports.
pub(crate) struct Watched {
    main: JoinHandle<ExitCode>,
    stop_main: oneshot::Sender<()>,
    stop: CancellationToken,
    spinning: oneshot::Receiver<()>,
    stopping: JoinHandle<usize>,
    sampling: JoinHandle<()>,
}

impl Watched {
    /// Starts the main. The polls that compute run on the workers of `runtime`.
    pub(crate) fn start(runtime: &Handle, random: &mut Random) -> Self {
        tracing::subscriber::set_global_default(Warnings).expect("it is the first");
        let (started, has_started) = mpsc::channel();
        let (stop_main, stopped) = oneshot::channel();
        let main = thread::spawn(move || {
            let body = task!("soak: lasting watch", |_| -> Result<(), Failed> {
                started.send(()).expect("the soak waits for it");
                _ = stopped.await;
                Ok(())
            });
            Main::new()
                .signals([])
                .dump(false)
                .warn_blocked(LIMIT)
                .on_blocked(on_blocked)
                .runtime(&mut Builder::new_current_thread())
                .run(body)
        });
        has_started.recv().expect("the main starts");
        let stop = CancellationToken::new();
        let (ended, spinning) = oneshot::channel();
        let (token, part) = (stop.clone(), random.fork());
        runtime.spawn(async move {
            spin(token, part).await;
            ended.send(()).expect("the soak waits for it");
        });
        let (token, random) = (stop.clone(), random.fork());
        let stopping = thread::spawn(move || stop_process(&token, random));
        let token = stop.clone();
        let sampling = thread::spawn(move || sample(&token));
        Self { main, stop_main, stop, spinning, stopping, sampling }
    }

    /// Ends the main and judges its reports.
    pub(crate) fn end(self) {
        let Self { main, stop_main, stop, spinning, stopping, sampling } = self;
        stop.cancel();
        spinning.blocking_recv().expect("no panic reaches the spinner");
        let stops = stopping.join().expect("the process was continued");
        sampling.join().expect("the processor times are readable");
        stop_main.send(()).expect("the main waits for it");
        let code = main.join().expect("the main returns");
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
        judge(stops);
    }
}

/// Asserts that each provoked poll was reported, and no poll of a suspended thread.
fn judge(stops: usize) {
    let (reports, provoked) = (lock(&REPORTS).clone(), lock(&PROVOKED));
    let of = |poll: &Provoked| reports.iter().position(|report| poll.is_reported_by(report));
    let missed: Vec<_> = provoked.iter().filter(|poll| of(poll).is_none()).collect();
    let mut detected: Vec<_> =
        provoked.iter().filter_map(|poll| reports[of(poll)?].processor).collect();
    detected.sort();
    let suspended: Vec<_> = reports.iter().filter(|report| !report.has_run()).collect();
    let others = reports.iter().filter(|report| report.name != SPINNER);
    let less_than_half = reports.iter().filter(|report| report.share_of_poll() < 0.5).count();
    println!(
        "{stops} stops of the process; {} polls that compute, {} reported, after {:?} (median) and {:?} (at most) of processor time; {} other reports; {less_than_half} of a thread that had waited for most of its poll",
        provoked.len(),
        provoked.len() - missed.len(),
        detected.get(detected.len() / 2).copied().unwrap_or_default(),
        detected.last().copied().unwrap_or_default(),
        others.clone().count(),
    );
    others.for_each(|report| println!("other: {report}"));
    for poll in &missed {
        let Provoked { thread, started, ended, processor } = poll;
        println!("missed: thread {thread}, {processor:?} in {:?}", ended.duration_since(*started));
    }
    suspended.iter().for_each(|report| println!("suspended: {report}"));
    assert!(stops > 0 && !provoked.is_empty(), "nothing was provoked");
    assert!(missed.is_empty(), "{} polls were not reported", missed.len());
    assert!(suspended.is_empty(), "{} reports of a suspended thread", suspended.len());
    let slow: u64 = stats().iter().map(|task| task.slow_polls).sum();
    assert_eq!(slow, reports.len() as u64, "slow polls, and reports");
}

impl Report {
    /// Whether its thread was on a processor for at least half of the time for which it is said to have blocked. A
    /// thread that is not known does not pass.
    fn has_run(&self) -> bool {
        self.processor.is_some_and(|processor| 2 * processor >= self.blocked)
    }

    fn share_of_poll(&self) -> f64 {
        self.processor.unwrap_or_default().as_secs_f64() / self.poll.as_secs_f64()
    }
}

impl Provoked {
    fn is_reported_by(&self, report: &Report) -> bool {
        report.name == SPINNER
            && report.thread == Some(self.thread)
            && (self.started..=self.ended + LIMIT).contains(&report.at)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, thread, poll, blocked, processor, .. } = self;
        write!(
            f,
            "`{name}` on thread {thread:?}: blocked for {blocked:?}, {processor:?} on a processor in a poll of {poll:?}"
        )
    }
}

/// Spawns a task from time to time that blocks its worker.
async fn spin(stop: CancellationToken, mut random: Random) {
    let pool = Pool::new(1);
    while !paused(&stop, &mut random).await {
        let length = Duration::from_millis(1500 + random.below(500) as u64);
        let spawned = pool.spawn(move |token| spinner(token, length)).await;
        spawned.expect("the pool is open").await.expect("it ends by itself");
    }
    pool.drain(PATIENCE).await.expect("its tasks have ended");
}

/// Returns whether the token has fired.
async fn paused(stop: &CancellationToken, random: &mut Random) -> bool {
    let pause = PAUSE + Duration::from_millis(random.below(PAUSE.as_millis() as usize) as u64);
    tokio::select! {
        () = sleep(pause) => false,
        () = stop.cancelled() => true,
    }
}

/// Computes in one poll, until its thread has used this much processor time.
#[supervised(name = "soak: lasting spinner")]
async fn spinner(length: Duration) -> Result<(), Failed> {
    yield_now().await;
    let thread = this_thread().expect("Linux numbers its threads");
    let used = || processor_time(thread).expect("Linux counts the processor time");
    let (started, before) = (Instant::now(), used());
    while used() - before < length {
        for _ in 0..100_000 {
            std::hint::spin_loop();
        }
    }
    let (ended, processor) = (Instant::now(), used() - before);
    lock(&PROVOKED).push(Provoked { thread, started, ended, processor });
    Ok(())
}

/// Stops the process from time to time, until the token fires. Returns how many times.
fn stop_process(stop: &CancellationToken, mut random: Random) -> usize {
    let mut stops = 0;
    let runtime = Builder::new_current_thread().enable_time().build().expect("it has a timer");
    while !runtime.block_on(paused(stop, &mut random)) {
        let script = format!("kill -STOP $0; sleep {STOPPED}; kill -CONT $0");
        let pid = std::process::id().to_string();
        let child = Command::new("sh").args(["-c", &script, &pid]).spawn();
        let mut child: Child = child.expect("a shell starts");
        assert!(child.wait().expect("it is a child").success(), "the process was not stopped");
        stops += 1;
    }
    stops
}

/// Reads the processor times until the token fires.
fn sample(stop: &CancellationToken) {
    lock(&TIMES).reserve(KEPT);
    while !stop.is_cancelled() {
        let workers = lock(&WORKERS).clone();
        let mut times = [Duration::ZERO; MOST_WORKERS];
        assert!(workers.len() <= MOST_WORKERS, "{} workers", workers.len());
        // Before the times: a poll that starts meanwhile is judged by the reading before.
        let at = Instant::now();
        for (time, worker) in times.iter_mut().zip(workers) {
            *time = processor_time(worker).expect("a worker lives as long as the soak");
        }
        let mut all = lock(&TIMES);
        if all.len() == KEPT {
            all.pop_front();
        }
        all.push_back((at, times));
        drop(all);
        #[expect(
            clippy::disallowed_methods,
            reason = "a separate thread, which reads at intervals"
        )]
        thread::sleep(SAMPLED);
    }
}

/// The processor time of a thread since a time, or a little more.
fn processor_time_since(thread: u64, start: Instant) -> Option<Duration> {
    let worker = lock(&WORKERS).iter().position(|worker| *worker == thread)?;
    let now = processor_time(thread)?;
    let all = lock(&TIMES);
    let (_, times) = all.iter().rev().find(|(at, _)| *at <= start)?;
    Some(now.saturating_sub(times[worker]))
}

/// Records a report. Its `WARN` came before, on this thread.
fn on_blocked(task: &LiveTask) {
    let at = Instant::now();
    let Warned { thread, blocked } = lock(&WARNED).take().unwrap_or_default();
    let poll = match task.state {
        TaskState::Polling(poll) => poll,
        // It has ended meanwhile, and took at least this long.
        _ => blocked,
    };
    let start = at.checked_sub(poll).expect("it started after the system");
    let processor = thread.and_then(|thread| processor_time_since(thread, start));
    let report = Report { name: task.name, thread, at, poll, blocked, processor };
    println!("report: {report}");
    lock(&REPORTS).push(report);
}

/// Takes the event that reports a poll, and no other: what is logged elsewhere costs nothing.
struct Warnings;

impl Subscriber for Warnings {
    fn register_callsite(&self, of: &'static Metadata<'static>) -> Interest {
        if self.enabled(of) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, of: &Metadata<'_>) -> bool {
        of.fields().field("thread.id").is_some()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut warned = Warned::default();
        event.record(&mut warned);
        *lock(&WARNED) = Some(warned);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Warned {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "thread.id" {
            self.thread = Some(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "blocked" {
            let text = format!("{value:?}");
            let seconds = text.trim_end_matches('s').parse().expect("it is longer than a second");
            self.blocked = Duration::from_secs_f64(seconds);
        }
    }
}
