//! Services: the order of their starts and ends, the one result, and the time that it takes.

use std::{
    error::Error as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use proptest::{collection::vec, option, prelude::*};
use testkit::{End, Failed};
use tokio::time::{Instant, sleep};
use tokio_supervised::{
    CancellationToken, Ready, Services, ServicesError, TaskError, is_cancelled, supervised,
};

use crate::support::{any_end, in_time, programs, run};

/// The grace of the function.
const GRACE: u64 = 10_000;
const START_TIMEOUT: u64 = 30_000;
/// The time that a service leaves for each one that stops after it.
const RESERVE: u64 = 1_000;
/// Two events that are closer happen in an order that the model does not know.
const NEAR: u64 = 5;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Step,
    Background,
    Service,
    /// It is ready after so many milliseconds.
    WithReady(u64),
}

/// How it stops once its token has fired.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// It is dropped at its `.await`.
    AtOnce,
    Takes(u64, End),
    Never,
}

#[derive(Clone, Copy, Debug)]
struct Behaviour {
    kind: Kind,
    /// When it ends by itself, and how.
    ends: Option<(u64, End)>,
    stop: Stop,
    panics_in_its_closure: bool,
}

#[derive(Clone, Debug)]
struct Program {
    services: Vec<Behaviour>,
    grace: Option<u64>,
    token_fires: u64,
}

fn times() -> impl Strategy<Value = u64> {
    prop_oneof![100..20_000_u64, 20_000..60_000_u64]
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    let kind = prop_oneof![
        1 => Just(Kind::Step),
        1 => Just(Kind::Background),
        3 => Just(Kind::Service),
        2 => (1..40_000_u64).prop_map(Kind::WithReady),
    ];
    let stop = prop_oneof![
        2 => Just(Stop::AtOnce),
        4 => (1..14_000_u64, any_end()).prop_map(|(takes, end)| Stop::Takes(takes, end)),
        1 => Just(Stop::Never),
    ];
    let step = (times(), prop_oneof![8 => Just(End::Ok), 1 => any_end()]);
    let own = prop_oneof![4 => Just(None), 1 => (times(), any_end()).prop_map(Some)];
    (kind, step, own, stop, prop::bool::weighted(0.02)).prop_map(
        |(kind, step, own, stop, panics_in_its_closure)| {
            let ends = if kind == Kind::Step { Some(step) } else { own };
            Behaviour { kind, ends, stop, panics_in_its_closure }
        },
    )
}

fn program() -> impl Strategy<Value = Program> {
    let grace = option::of(500..40_000_u64);
    (vec(behaviour(), 0..=NAMES.len()), grace, 1..150_000_u64)
        .prop_map(|(services, grace, token_fires)| Program { services, grace, token_fires })
}

/// The observable behaviour of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    starts: Vec<usize>,
    ends: Vec<usize>,
    result: Outcome,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Outcome {
    #[default]
    Ok,
    Failed(&'static str),
    Returned(&'static str),
    NotReady(&'static str),
    /// A step that did not return.
    Cut(&'static str),
    /// The first that did not stop, how many others, and the first failure.
    Unfinished(&'static str, usize, Option<Box<Outcome>>),
}

/// The services as documented: one event after the other.
struct Model<'a> {
    program: &'a Program,
    now: u64,
    /// When each live service was started.
    live: Vec<(usize, u64)>,
    seen: Seen,
    failure: Option<Outcome>,
    cut: Option<Outcome>,
    unfinished: Vec<&'static str>,
    /// Two events were too near.
    unclear: bool,
}

enum Event {
    Token,
    Started,
    NotReady,
    Ended(usize, End),
    /// The end of a service that was asked to stop.
    Limit,
}

impl<'a> Model<'a> {
    fn new(program: &'a Program) -> Self {
        Self {
            program,
            now: 0,
            live: Vec::new(),
            seen: Seen::default(),
            failure: None,
            cut: None,
            unfinished: Vec::new(),
            unclear: false,
        }
    }

    fn kind(&self, service: usize) -> Kind {
        self.program.services[service].kind
    }

    /// The next of these events and of the ends of services that were not asked to stop.
    fn next(&mut self, of: Vec<(u64, Event)>, except: Option<usize>) -> Event {
        let mut all = of;
        for (service, since) in self.live.clone() {
            if let (Some((after, end)), true) =
                (self.program.services[service].ends, Some(service) != except)
            {
                all.push((since + after, Event::Ended(service, end)));
            }
        }
        all.sort_by_key(|(at, _)| *at);
        self.unclear |= all.windows(2).any(|pair| pair[1].0 - pair[0].0 < NEAR);
        let (at, event) = all.remove(0);
        self.unclear |= at < self.now + NEAR && at != self.now;
        self.now = at.max(self.now);
        event
    }

    fn end(&mut self, service: usize) {
        self.live.retain(|(live, _)| *live != service);
        self.seen.ends.push(service);
    }

    fn fail(&mut self, failure: Outcome) {
        self.failure.get_or_insert(failure);
    }

    /// The end of a service that was not asked to stop. Returns whether it stops the others.
    fn ended(&mut self, service: usize, end: End) -> bool {
        self.end(service);
        let name = NAMES[service];
        match (end, self.kind(service)) {
            (End::Ok, Kind::Step | Kind::Background) => return false,
            (End::Ok, _) => self.fail(Outcome::Returned(name)),
            _ => self.fail(Outcome::Failed(name)),
        }
        true
    }

    fn run(mut self) -> (Seen, u64, bool) {
        if !self.serve() {
            self.stop();
        }
        let failure = self.failure.take();
        self.seen.result = match self.unfinished.first() {
            Some(first) => {
                Outcome::Unfinished(first, self.unfinished.len() - 1, failure.map(Box::new))
            }
            None => failure.or(self.cut.take()).unwrap_or_default(),
        };
        (self.seen, self.now, self.unclear)
    }

    /// Returns whether everything has ended.
    fn serve(&mut self) -> bool {
        let program = self.program;
        for (service, behaviour) in program.services.iter().enumerate() {
            self.seen.starts.push(service);
            let Behaviour { kind, panics_in_its_closure, .. } = *behaviour;
            if panics_in_its_closure {
                self.fail(Outcome::Failed(NAMES[service]));
                return false;
            }
            let started = self.now;
            self.live.push((service, started));
            loop {
                let mut events = vec![(self.program.token_fires, Event::Token)];
                match kind {
                    Kind::Step if !self.live.iter().any(|(live, _)| *live == service) => break,
                    Kind::Step => {}
                    Kind::Background | Kind::Service => break,
                    Kind::WithReady(after) => {
                        events.push((started + after, Event::Started));
                        events.push((started + START_TIMEOUT, Event::NotReady));
                    }
                }
                match self.next(events, None) {
                    Event::Started => break,
                    Event::Token => {
                        self.cut_from(service + 1);
                        return false;
                    }
                    Event::NotReady => {
                        self.fail(Outcome::NotReady(NAMES[service]));
                        return false;
                    }
                    Event::Ended(ended, end) => {
                        if self.ended(ended, end) {
                            return false;
                        }
                    }
                    Event::Limit => unreachable!("no service was asked to stop"),
                }
            }
        }
        loop {
            if self.live.is_empty() {
                return true;
            }
            match self.next(vec![(self.program.token_fires, Event::Token)], None) {
                Event::Ended(ended, end) if self.ended(ended, end) => return false,
                Event::Ended(..) => {}
                _ => return false,
            }
        }
    }

    /// The first step that does not start, since the token has fired.
    fn cut_from(&mut self, first: usize) {
        let mut rest = first..self.program.services.len();
        let step = rest.find(|service| self.kind(*service) == Kind::Step);
        self.cut = step.map(|step| Outcome::Cut(NAMES[step]));
    }

    fn stop(&mut self) {
        let started = self.now;
        let mut first = true;
        while let Some((service, since)) = self.live.last().copied() {
            let mut stop = self.program.services[service].stop;
            // Its token fires before its body was polled.
            if std::mem::take(&mut first) && since == self.now {
                stop = Stop::AtOnce;
            }
            let stops = match stop {
                Stop::AtOnce => Some((self.now, None)),
                Stop::Takes(takes, end) => Some((self.now + takes, Some(end))),
                Stop::Never => None,
            };
            let after = self.live.len() as u64 - 1;
            let limit = self.program.grace.map(|grace| {
                let end = (started + grace).max(self.now);
                end - RESERVE.min((end - self.now) / (after + 1)) * after
            });
            let own = self.now + GRACE;
            let limit = limit.map_or(own, |limit| limit.min(own));
            loop {
                let mut events = vec![(limit.max(self.now), Event::Limit)];
                events.extend(stops.map(|(at, end)| {
                    let end = end.unwrap_or(End::Ok);
                    (at, Event::Ended(service, end))
                }));
                match self.next(events, Some(service)) {
                    Event::Ended(ended, end) if ended == service => {
                        self.end(service);
                        let is_cut = matches!(stop, Stop::AtOnce);
                        if is_cut && self.kind(service) == Kind::Step {
                            self.cut = Some(Outcome::Cut(NAMES[service]));
                        } else if end != End::Ok {
                            self.fail(Outcome::Failed(NAMES[service]));
                        }
                        break;
                    }
                    Event::Ended(ended, end) => {
                        self.end(ended);
                        if end != End::Ok {
                            self.fail(Outcome::Failed(NAMES[ended]));
                        }
                    }
                    _ => {
                        self.end(service);
                        self.unfinished.push(NAMES[service]);
                        break;
                    }
                }
            }
        }
    }
}

/// The starts and ends that the services of a program note.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<(Vec<usize>, Vec<usize>)>>, Arc<AtomicUsize>);

impl Notes {
    fn start(&self, service: usize) -> Guard {
        self.0.lock().unwrap().0.push(service);
        self.1.fetch_add(1, SeqCst);
        Guard { notes: self.clone(), service }
    }
}

/// Notes the end of a service, however it ends.
struct Guard {
    notes: Notes,
    service: usize,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.notes.0.lock().unwrap().1.push(self.service);
        self.notes.1.fetch_sub(1, SeqCst);
    }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn finish(end: End) -> Result<(), Failed> {
    match end {
        End::Ok => Ok(()),
        End::Error => Err(Failed::own(0)),
        // Without the hook: the panic is meant.
        End::Panic => std::panic::resume_unwind(Box::new("meant")),
        End::OnCancel | End::Never => unreachable!("no program draws them"),
    }
}

async fn live(behaviour: Behaviour, ready: Option<Ready>) -> Result<(), Failed> {
    let ready = async {
        if let (Kind::WithReady(after), Some(ready)) = (behaviour.kind, ready) {
            sleep(millis(after)).await;
            ready.set();
        }
        std::future::pending::<()>().await;
    };
    let end = async {
        let Some((after, end)) = behaviour.ends else { return std::future::pending().await };
        sleep(millis(after)).await;
        end
    };
    tokio::select! {
        () = ready => unreachable!("it waits for ever"),
        end = end => finish(end),
    }
}

/// It sees its token.
#[supervised(name = "properties: service", grace = "10s")]
async fn stops(
    token: &CancellationToken,
    guard: Guard,
    behaviour: Behaviour,
    ready: Option<Ready>,
) -> Result<(), Failed> {
    let _guard = guard;
    tokio::select! {
        ended = live(behaviour, ready) => return ended,
        () = token.cancelled() => {}
    }
    match behaviour.stop {
        Stop::Takes(takes, end) => {
            sleep(millis(takes)).await;
            finish(end)
        }
        Stop::AtOnce | Stop::Never => std::future::pending().await,
    }
}

/// It is dropped at its `.await`.
#[supervised(name = "properties: dropped service")]
async fn is_dropped(
    guard: Guard,
    behaviour: Behaviour,
    ready: Option<Ready>,
) -> Result<(), Failed> {
    let _guard = guard;
    live(behaviour, ready).await
}

fn add<'a>(
    services: Services<'a>,
    number: usize,
    behaviour: Behaviour,
    notes: &'a Notes,
) -> Services<'a> {
    macro_rules! add {
        ($with_ready:expr, $method:ident, $function:ident) => {
            if $with_ready {
                services.service_with_ready(NAMES[number], move |token, ready| {
                    let guard = notes.start(number);
                    if behaviour.panics_in_its_closure {
                        std::panic::resume_unwind(Box::new("meant"));
                    }
                    $function(token, guard, behaviour, Some(ready))
                })
            } else {
                services.$method(NAMES[number], move |token| {
                    let guard = notes.start(number);
                    if behaviour.panics_in_its_closure {
                        std::panic::resume_unwind(Box::new("meant"));
                    }
                    $function(token, guard, behaviour, None)
                })
            }
        };
    }
    let with_ready = matches!(behaviour.kind, Kind::WithReady(_));
    match (behaviour.stop, behaviour.kind) {
        (Stop::AtOnce, Kind::Step) => add!(with_ready, step, is_dropped),
        (Stop::AtOnce, Kind::Background) => add!(with_ready, background, is_dropped),
        (Stop::AtOnce, _) => add!(with_ready, service, is_dropped),
        (_, Kind::Step) => add!(with_ready, step, stops),
        (_, Kind::Background) => add!(with_ready, background, stops),
        (_, _) => add!(with_ready, service, stops),
    }
}

fn outcome(result: Result<(), ServicesError>) -> Outcome {
    let Err(error) = result else { return Outcome::Ok };
    outcome_of(&error)
}

fn outcome_of(error: &ServicesError) -> Outcome {
    let name = NAMES.into_iter().find(|name| *name == error.service()).unwrap();
    let text = error.to_string();
    if text.contains("did not stop in time") {
        let unfinished = error.source().unwrap().downcast_ref::<tokio_supervised::Unfinished>();
        let others = unfinished.unwrap().tasks().len() - 1;
        let first = error.first_failure().map(|first| Box::new(outcome_of(first)));
        return Outcome::Unfinished(name, others, first);
    }
    match () {
        () if text.ends_with("failed") => Outcome::Failed(name),
        () if text.contains("returned before") => Outcome::Returned(name),
        () if text.contains("was not ready") => Outcome::NotReady(name),
        () => {
            assert!(is_cancelled(error), "{error:?}");
            Outcome::Cut(name)
        }
    }
}

async fn see(program: &Program) -> (Seen, u64) {
    let (token, notes) = (CancellationToken::new(), Notes::default());
    let mut services = Services::new(&token);
    if let Some(grace) = program.grace {
        services = services.grace(millis(grace));
    }
    for (number, behaviour) in program.services.iter().enumerate() {
        services = add(services, number, *behaviour, &notes);
    }
    let started = Instant::now();
    let fires = async {
        sleep(millis(program.token_fires)).await;
        token.cancel();
        std::future::pending::<()>().await;
    };
    let result = in_time(async {
        tokio::select! {
            result = services.run() => result,
            () = fires => unreachable!("it waits for ever"),
        }
    })
    .await;
    let took = started.elapsed().as_millis() as u64;
    assert_eq!(notes.1.load(SeqCst), 0, "nothing lives after `run`");
    let (starts, ends) = notes.0.lock().unwrap().clone();
    (Seen { starts, ends, result: outcome(result) }, took)
}

proptest! {
    #![proptest_config(programs(300))]

    #[test]
    fn services_do_what_the_model_says(program in program()) {
        let (mut expected, until, unclear) = Model::new(&program).run();
        prop_assume!(!unclear);
        let (seen, took) = run(see(&program));
        // A closure that panics drops its guard.
        if let Some(at) = program.services.iter().position(|service| service.panics_in_its_closure) {
            if expected.starts.last() == Some(&at) && !expected.ends.contains(&at) {
                let ends = seen.ends.iter().position(|end| *end == at).unwrap();
                expected.ends.insert(ends, at);
            }
        }
        prop_assert_eq!(seen, expected);
        prop_assert!(took.abs_diff(until) <= 2 * NEAR, "{} and {}", took, until);
    }

    #[test]
    fn nested_services_stop_in_the_reverse_order_of_their_starts(
        tree in trees(),
        fires in 1..2_000_u64,
    ) {
        let notes = Notes::default();
        run(async {
            let token = CancellationToken::new();
            let fires = async {
                sleep(millis(fires)).await;
                token.cancel();
            };
            let (ran, ()) = in_time(async { tokio::join!(nested(&token, &tree, &notes), fires) }).await;
            ran.unwrap();
        });
        let (starts, mut ends) = notes.0.lock().unwrap().clone();
        ends.reverse();
        prop_assert_eq!(starts, ends);
        prop_assert_eq!(notes.1.load(SeqCst), 0);
    }

    #[test]
    fn a_handle_adds_to_the_order_and_takes_from_it(
        commands in vec((any::<prop::sample::Index>(), 1..20_u64), 0..20),
    ) {
        let notes = Notes::default();
        // Each command toggles one of the names.
        let mut live: Vec<usize> = Vec::new();
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        let commands: Vec<_> =
            commands.into_iter().map(|(name, after)| (name.index(NAMES.len()), after)).collect();
        for (name, _) in &commands {
            match live.iter().position(|live| live == name) {
                Some(at) => ends.push(live.remove(at)),
                None => {
                    live.push(*name);
                    starts.push(*name);
                }
            }
        }
        live.reverse();
        ends.extend(live);
        run(async {
            let token = CancellationToken::new();
            let services = Services::new(&token);
            let handle = services.handle();
            let operate = async {
                let mut live = Vec::new();
                for (name, after) in commands {
                    sleep(millis(after)).await;
                    if let Some(at) = live.iter().position(|live| *live == name) {
                        live.remove(at);
                        handle.stop(NAMES[name]).await.unwrap();
                    } else {
                        live.push(name);
                        let notes = notes.clone();
                        let start = move |token| leaf(token, notes.start(name), name as u64);
                        handle.start(NAMES[name], start).await.unwrap();
                    }
                }
                token.cancel();
            };
            let (ran, ()) = in_time(async { tokio::join!(services.run(), operate) }).await;
            ran.unwrap();
        });
        let noted = notes.0.lock().unwrap().clone();
        prop_assert_eq!(noted, (starts, ends));
    }
}

/// Services that are themselves services.
#[derive(Clone, Debug)]
struct Tree {
    number: usize,
    takes: u64,
    below: Vec<Tree>,
}

fn trees() -> impl Strategy<Value = Vec<Tree>> {
    let leaf = (1..50_u64).prop_map(|takes| Tree { number: 0, takes, below: Vec::new() });
    let tree = leaf.prop_recursive(3, 16, 3, |inner| {
        (1..50_u64, vec(inner, 0..3)).prop_map(|(takes, below)| Tree { number: 0, takes, below })
    });
    vec(tree, 0..4).prop_map(|mut trees| {
        let mut next = 0;
        trees.iter_mut().for_each(|tree| number(tree, &mut next));
        trees
    })
}

fn number(tree: &mut Tree, next: &mut usize) {
    tree.number = *next;
    *next += 1;
    tree.below.iter_mut().for_each(|tree| number(tree, next));
}

#[supervised(name = "properties: leaf")]
async fn leaf(token: &CancellationToken, guard: Guard, takes: u64) -> Result<(), TaskError> {
    let _guard = guard;
    token.cancelled().await;
    sleep(millis(takes)).await;
    Ok(())
}

#[derive(Debug)]
struct NestedError;

impl From<TaskError> for NestedError {
    fn from(_: TaskError) -> Self {
        Self
    }
}

impl std::fmt::Display for NestedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nested")
    }
}

impl std::error::Error for NestedError {}

#[supervised(name = "properties: inner services")]
async fn inner(
    token: CancellationToken,
    guard: Guard,
    ready: Ready,
    below: Vec<Tree>,
    notes: Notes,
) -> Result<(), NestedError> {
    let _guard = guard;
    let mut services = Services::new(&token).ready(ready);
    for tree in below {
        services = add_tree(services, tree, notes.clone());
    }
    services.run().await.map_err(|_| NestedError)?;
    token.cancelled().await;
    Ok(())
}

fn add_tree(services: Services<'_>, tree: Tree, notes: Notes) -> Services<'_> {
    let Tree { number, takes, below } = tree;
    let name: &'static str = ["n0", "n1", "n2", "n3"][number % 4];
    let name = if number < 4 { name } else { Box::leak(format!("n{number}").into_boxed_str()) };
    if below.is_empty() {
        services.service(name, move |token| leaf(token, notes.start(number), takes))
    } else {
        services.service_with_ready(name, move |token, ready| {
            inner(token, notes.start(number), ready, below, notes)
        })
    }
}

async fn nested(
    token: &CancellationToken,
    trees: &[Tree],
    notes: &Notes,
) -> Result<(), ServicesError> {
    let mut services = Services::new(token);
    for tree in trees {
        services = add_tree(services, tree.clone(), notes.clone());
    }
    services.run().await
}
