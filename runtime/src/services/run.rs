//! The life of the services: they start one after the other, run until one ends or the token fires, and stop in reverse.
//!
//! ```text
//! start ── each in turn: spawned; a step has returned, a `Ready` is set ──> serve
//! serve ── the token fires, a service fails or returns unasked ──> stop
//! stop  ── the last one first: its token fires, it ends or its time is over, the one before it ──> end
//! ```
//!
//! Invariants, checked by `tests/spec/behaviour/services/` and `tests/properties/tests/services.rs`
//!
//! 1. A service starts only if all before it have started, and its token fires only if all after it have ended or were
//!    aborted.
//! 2. Each failure is reported once: the first by `run`, that of a service that a handle stopped by the handle, the
//!    others as events.
//! 3. Each command of a handle is answered, also if `run` ends or is dropped: its reply is dropped with it.
//! 4. `Ok` means that every step has returned and nothing was aborted.

use std::{
    collections::VecDeque,
    future::poll_fn,
    panic::Location,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, ready},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    cause::Cause,
    context,
    context::cancel_waker::CancelWaker,
    context::service::ServiceNode,
    context::tree::ScopeNode,
    deadline::Deadline,
    error::{Cancelled, UnfinishedScope},
    outcome::Outcome,
    panic::drop_quietly,
    registry,
    registry::HasTasks,
    registry::live::LiveTask,
    registry::services::HasServices,
    registry::sharded_list::Registration,
    registry::unfinished::{Unfinished, UnfinishedReason, UnfinishedTask},
    service_manager,
    telemetry::events,
    telemetry::span::TaskSpan,
};
use crate::{
    services::error::{ServicesError, ServicesHandleError},
    services::ready::Ready,
    services::start::{Start, Starting},
    services::state::{Kind, Live, Phase, ServiceId, State},
    services::task::{End, ServiceTask},
    tasks::timer::Timer,
};

/// The time that a service leaves for each one that stops after it.
const RESERVE: Duration = Duration::from_secs(1);

/// How long `run` waits for a task that it has aborted: one that blocks its thread never ends.
const ABORT_WAIT: Duration = Duration::from_millis(100);

/// The answer to a command of a handle.
pub(crate) type Reply = oneshot::Sender<Result<(), ServicesHandleError>>;

/// A command of a handle.
pub(crate) enum Command {
    Start {
        name: &'static str,
        place: &'static Location<'static>,
        start: Start<'static>,
        reply: Reply,
    },
    Stop {
        name: &'static str,
        reply: Reply,
    },
}

/// A service that has not started.
pub(crate) struct Pending<'a> {
    pub(crate) id: ServiceId,
    pub(crate) place: &'static Location<'static>,
    pub(crate) start: Start<'a>,
    pub(crate) reply: Option<Reply>,
}

/// The settings, the services and the commands of one `run`.
pub(crate) struct Plan<'a> {
    pub(crate) state: Arc<State>,
    pub(crate) token: CancellationToken,
    pub(crate) pending: VecDeque<Pending<'a>>,
    pub(crate) commands: Option<mpsc::Receiver<Command>>,
    pub(crate) start_timeout: Duration,
    pub(crate) grace: Option<Duration>,
    pub(crate) ready: Option<Ready>,
}

/// Services that run. If it is dropped before it has ended, it cancels and aborts them.
pub(crate) struct Running<'a> {
    plan: Plan<'a>,
    scope: Arc<ScopeNode>,
    span: TaskSpan,
    /// The service that starts.
    current: Option<Current>,
    /// Those that a handle has asked to stop.
    stops: Vec<HandleStop>,
    /// Why they stop.
    cause: Option<Cause>,
    failure: Option<ServicesError>,
    /// The first step that did not return.
    cut: Option<ServicesError>,
    unfinished: Vec<(Arc<str>, UnfinishedTask)>,
    /// The shortest time that a service had which did not stop.
    shortest: Option<Duration>,
    has_reported_ready: bool,
    _cancel_waker: CancelWaker,
    _tasks: Registration<dyn HasTasks>,
    _services: Registration<dyn HasServices>,
}

struct Current {
    id: ServiceId,
    /// When its start has failed.
    deadline: Option<Instant>,
    reply: Option<Reply>,
}

struct HandleStop {
    id: ServiceId,
    replies: Vec<Reply>,
    asked_at: Instant,
    /// When it is aborted.
    limit: Option<Instant>,
}

impl<'a> Running<'a> {
    pub(crate) fn new(plan: Plan<'a>) -> Self {
        let state = &plan.state;
        state.set_around(context::current_service().as_deref());
        let scope = context::nested_scope(plan.token.clone());
        let weak: Weak<State> = Arc::downgrade(state);
        Self {
            _cancel_waker: CancelWaker::new(&plan.token, &scope, weak.clone()),
            _tasks: registry::register(weak),
            _services: registry::services::register(state),
            plan,
            scope,
            span: TaskSpan::current(),
            current: None,
            stops: Vec::new(),
            cause: None,
            failure: None,
            cut: None,
            unfinished: Vec::new(),
            shortest: None,
            has_reported_ready: false,
        }
    }

    pub(crate) async fn run(mut self) -> Result<(), ServicesError> {
        self.serve().await;
        self.stop().await;
        self.finish()
    }

    /// Starts the services, and waits for what stops them.
    async fn serve(&mut self) {
        loop {
            self.handle_ends();
            if self.cause.is_none() && self.plan.token.is_cancelled() {
                self.cause = Some(self.scope.cause().unwrap_or(Cause::Token));
            }
            if self.cause.is_some() {
                return;
            }
            if self.start_next() {
                continue;
            }
            self.check_times();
            if self.cause.is_some() {
                return;
            }
            self.report_ready();
            if self.plan.commands.is_none() && self.is_idle() {
                return;
            }
            let until = self.next_time();
            if let Some(command) = self.wait(until).await {
                self.handle_command(command);
            }
        }
    }

    /// Starts the next service, unless one is starting. Returns whether there may be another one to start.
    fn start_next(&mut self) -> bool {
        if let Some(current) = &self.current {
            if !self.plan.state.has_started(current.id) {
                return false;
            }
            let reply = self.current.take().and_then(|current| current.reply);
            answer(reply, Ok(()));
            return true;
        }
        let Some(pending) = self.plan.pending.pop_front() else { return false };
        let Pending { id, place, start, reply } = pending;
        let state = &self.plan.state;
        let path = state.path(state.name(id));
        let weak: Weak<State> = Arc::downgrade(state);
        let node = ServiceNode::new(path.clone(), weak);
        state.set_started(id, node.clone());
        let starting = Starting { state, id, node: node.clone(), span: &self.span, place };
        match start(starting) {
            Ok(_) => {
                events::service_started(&path);
                let deadline = match state.kind(id) {
                    Some(Kind::WithReady) => Instant::now().checked_add(self.plan.start_timeout),
                    _ => None,
                };
                self.current = Some(Current { id, deadline, reply });
            }
            Err(error) => {
                let text: Box<str> = error.to_string().into();
                node.set_last_failure(Some(text));
                state.set_unspawned(id);
                let name = state.name(id);
                self.fail(ServicesError::failed(path, error), Cause::SiblingFailed { task: name });
                answer(reply, Err(ServicesHandleError::Stopping));
            }
        }
        true
    }

    /// Records the first failure, which stops the rest.
    fn fail(&mut self, failure: ServicesError, cause: Cause) {
        self.failure.get_or_insert(failure);
        self.cause.get_or_insert(cause);
    }

    /// Handles the services that have ended, in the order of their ends.
    fn handle_ends(&mut self) {
        while let Some((id, end)) = self.plan.state.take_ended() {
            let stop = self.stops.iter().position(|stop| stop.id == id);
            let stop = stop.map(|at| self.stops.swap_remove(at));
            let failed = self.handle_end(id, end, stop.as_ref());
            if let Some(stop) = stop {
                stop.answer(failed);
            }
        }
    }

    /// Handles the end of a service. Returns the failure of one that a handle has stopped.
    fn handle_end(
        &mut self,
        id: ServiceId,
        end: End,
        by_handle: Option<&HandleStop>,
    ) -> Option<ServicesError> {
        let state = &self.plan.state;
        let (name, kind) = (state.name(id), state.kind(id));
        let path = state.path(name);
        // A service may have stopped for the token that `run` was given, and not for its own.
        events::service_stopped(&path);
        let expected = state.is_asked(id) || self.cause.is_some() || self.plan.token.is_cancelled();
        match end {
            End::Ok if expected || matches!(kind, Some(Kind::Step | Kind::Background)) => {}
            End::Ok => {
                let returned = ServicesError::returned(path);
                self.fail(returned, Cause::SiblingExited { task: name });
            }
            End::Cancelled(error) | End::Aborted(error) if expected => {
                if kind == Some(Kind::Step) && by_handle.is_none() {
                    // A step that has not started comes after it.
                    self.cut = Some(ServicesError::cut(path, error));
                } else {
                    drop_quietly(error);
                }
            }
            End::Cancelled(error) | End::Aborted(error) => {
                let failed = ServicesError::failed(path, error);
                self.fail(failed, Cause::SiblingFailed { task: name });
            }
            End::Overdue(task) => match by_handle {
                Some(stop) => return Some(self.unfinished_stop(path, task, stop)),
                None => self.unfinished.push((path, task)),
            },
            End::Failed(failure) => {
                if let Some(node) = state.node(id) {
                    node.set_last_failure(failure.last_text());
                }
                if by_handle.is_some_and(HandleStop::is_awaited) {
                    return Some(ServicesError::failed(path, failure.error));
                }
                let why = match by_handle {
                    Some(_) => Some("the call of `stop` was dropped"),
                    None if self.failure.is_some() => Some("`run` returns an earlier failure"),
                    None => None,
                };
                if let Some(why) = why {
                    failure.log(&path, why);
                    return None;
                }
                let failed = ServicesError::failed(path, failure.error);
                self.fail(failed, Cause::SiblingFailed { task: name });
            }
        }
        None
    }

    /// The error of a service that did not stop for its handle.
    fn unfinished_stop(
        &self,
        path: Arc<str>,
        task: UnfinishedTask,
        stop: &HandleStop,
    ) -> ServicesError {
        let grace = stop.asked_at.elapsed();
        let scope = UnfinishedScope::Services(self.plan.state.place);
        let unfinished = Unfinished::new(grace, vec![task], 0, 0, scope);
        ServicesError::unfinished(path, 0, unfinished, None)
    }

    /// Checks whether a start, or a stop by a handle, has taken too long.
    fn check_times(&mut self) {
        let now = Instant::now();
        let has_passed = |time: Option<Instant>| time.is_some_and(|time| time <= now);
        if let Some(current) = &self.current {
            if has_passed(current.deadline) {
                let (name, timeout) = (self.plan.state.name(current.id), self.plan.start_timeout);
                let path = self.plan.state.path(name);
                let failure = ServicesError::not_ready(path, timeout);
                self.fail(failure, Cause::SiblingFailed { task: name });
            }
        }
        let late: Vec<_> =
            self.stops.iter().filter(|stop| has_passed(stop.limit)).map(|stop| stop.id).collect();
        for id in late {
            let Some(at) = self.stops.iter().position(|stop| stop.id == id) else { continue };
            let stop = self.stops.swap_remove(at);
            let Some(Live { task: Some(task), .. }) = self.plan.state.live(id) else { continue };
            let path = self.plan.state.path(self.plan.state.name(id));
            let failed = self.unfinished_stop(path, abort(&task), &stop);
            stop.answer(Some(failed));
        }
    }

    /// The next time at which [`check_times`](Self::check_times) has something to do.
    fn next_time(&self) -> Option<Instant> {
        let start = self.current.as_ref().and_then(|current| current.deadline);
        self.stops.iter().filter_map(|stop| stop.limit).chain(start).min()
    }

    /// Whether nothing runs, and nothing is to be started.
    fn is_idle(&self) -> bool {
        self.current.is_none()
            && self.plan.pending.is_empty()
            && self.plan.state.all_live().is_empty()
    }

    /// Says once that all services have started.
    fn report_ready(&mut self) {
        if !self.has_reported_ready {
            let starts = self.current.is_some() || !self.plan.pending.is_empty();
            if starts || !self.plan.state.all_started() {
                return;
            }
            self.has_reported_ready = true;
            if let Some(ready) = &self.plan.ready {
                ready.set();
            }
        }
        notify_manager();
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Start { name, place, start, reply } => {
                match self.plan.state.add(name, Kind::Service) {
                    Some(id) => {
                        let pending = Pending { id, place, start, reply: Some(reply) };
                        self.plan.pending.push_back(pending);
                    }
                    None => {
                        drop_quietly(start);
                        answer(Some(reply), Err(ServicesHandleError::NameUsed));
                    }
                }
            }
            Command::Stop { name, reply } => self.stop_by_handle(name, reply),
        }
    }

    fn stop_by_handle(&mut self, name: &'static str, reply: Reply) {
        let state = &self.plan.state;
        let Some(id) = state.find(name) else {
            return answer(Some(reply), Err(ServicesHandleError::Unknown));
        };
        if let Some(stop) = self.stops.iter_mut().find(|stop| stop.id == id) {
            stop.replies.push(reply);
            return;
        }
        if let Some(at) = self.plan.pending.iter().position(|pending| pending.id == id) {
            if let Some(pending) = self.plan.pending.remove(at) {
                state.set_unspawned(id);
                drop_quietly(pending.start);
                answer(pending.reply, Err(ServicesHandleError::Stopping));
            }
        }
        match state.live(id) {
            // It has ended, or a handle has aborted it.
            None | Some(Live { task: None, .. } | Live { asked: true, .. }) => {
                answer(Some(reply), Ok(()));
            }
            Some(Live { task: Some(task), .. }) => {
                let asked_at = Instant::now();
                let limit = self.plan.grace.and_then(|grace| asked_at.checked_add(grace));
                self.stops.push(HandleStop { id, replies: vec![reply], asked_at, limit });
                state.set_asked(id);
                task.cancel(Cause::Handle);
            }
        }
    }

    /// Waits for news, for a command, or until that time.
    async fn wait(&mut self, until: Option<Instant>) -> Option<Command> {
        let mut timer = until.and_then(|until| Timer::start(until - Instant::now()));
        let Plan { state, commands, .. } = &mut self.plan;
        poll_fn(|cx| {
            if state.take_news(cx.waker()) {
                return Poll::Ready(None);
            }
            if let Some(received) = commands {
                if let Poll::Ready(command) = received.poll_recv(cx) {
                    if command.is_none() {
                        *commands = None;
                    }
                    return Poll::Ready(command);
                }
            }
            match &mut timer {
                Some(timer) => {
                    ready!(timer.poll(cx));
                    Poll::Ready(None)
                }
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Stops the services, the last one first.
    async fn stop(&mut self) {
        let state = self.plan.state.clone();
        drop(state.set_phase(Phase::Stopping));
        let cause = self.cause.unwrap_or(Cause::Token);
        self.refuse_rest(cause);
        let started = Instant::now();
        let mut order: Vec<_> = state.all_live().iter().map(|live| live.id).collect();
        while let Some(id) = order.pop() {
            let after = order.iter().filter(|id| !state.has_ended(**id)).count();
            self.stop_one(id, cause, started, after).await;
        }
    }

    /// Refuses what has not started, and the commands that came too late.
    fn refuse_rest(&mut self, cause: Cause) {
        let state = self.plan.state.clone();
        for pending in std::mem::take(&mut self.plan.pending) {
            let Pending { id, start, reply, .. } = pending;
            drop_quietly(start);
            state.set_unspawned(id);
            answer(reply, Err(ServicesHandleError::Stopping));
            if state.kind(id) == Some(Kind::Step) && self.cut.is_none() {
                let name = state.name(id);
                let cancelled = Cancelled::new(name, cause);
                self.cut = Some(ServicesError::not_started(state.path(name), cancelled));
            }
        }
        if let Some(current) = self.current.take() {
            answer(current.reply, Err(ServicesHandleError::Stopping));
        }
        if let Some(mut commands) = self.plan.commands.take() {
            commands.close();
            while let Ok(command) = commands.try_recv() {
                let (Command::Start { reply, .. } | Command::Stop { reply, .. }) = command;
                answer(Some(reply), Err(ServicesHandleError::Stopping));
            }
        }
    }

    /// Asks a service to stop, and waits until it has ended or its time is over.
    async fn stop_one(&mut self, id: ServiceId, cause: Cause, started: Instant, after: usize) {
        self.handle_ends();
        let Some(Live { task: Some(task), asked, .. }) = self.plan.state.live(id) else { return };
        if !asked {
            self.plan.state.set_asked(id);
            task.cancel(cause);
        }
        let turn = Instant::now();
        let reserve = self.reserve(started, turn, after);
        loop {
            self.handle_ends();
            if self.plan.state.has_ended(id) {
                return;
            }
            let now = Instant::now();
            let limit = self.end_of_grace(started, now).map(|end| earlier(end, reserve));
            if limit.is_some_and(|limit| limit <= now) {
                break;
            }
            self.wait_before_a_signal(limit).await;
        }
        self.abort_one(id, &task, turn.elapsed());
        let end = Instant::now() + ABORT_WAIT;
        while !self.plan.state.has_ended(id) && Instant::now() < end {
            self.wait(Some(end)).await;
        }
        self.handle_ends();
    }

    fn abort_one(&mut self, id: ServiceId, task: &ServiceTask, had: Duration) {
        let path = self.plan.state.path(self.plan.state.name(id));
        let task = abort(task);
        let stop = self.stops.iter().position(|stop| stop.id == id);
        if let Some(stop) = stop.map(|at| self.stops.swap_remove(at)) {
            // `run` returns the tasks that did not stop.
            stop.answer_with(|| Err(ServicesHandleError::Stopping));
        }
        self.shortest = Some(self.shortest.map_or(had, |shortest| shortest.min(had)));
        self.unfinished.push((path, task));
    }

    /// When all services have to have stopped. A signal may come while they stop.
    fn end_of_grace(&self, started: Instant, now: Instant) -> Option<Instant> {
        let own = self.plan.grace.and_then(|grace| started.checked_add(grace));
        let main = Deadline::current().and_then(|main| main.remaining());
        let main = main.and_then(|left| now.checked_add(left));
        [own, main].into_iter().flatten().min()
    }

    /// The time that is kept for the services that stop later: less than 1 s for each if there is not as much.
    fn reserve(&self, started: Instant, now: Instant, after: usize) -> Duration {
        let Some(end) = self.end_of_grace(started, now) else { return Duration::ZERO };
        let after = u32::try_from(after).unwrap_or(u32::MAX);
        let share = end.saturating_duration_since(now) / after.saturating_add(1);
        RESERVE.min(share).saturating_mul(after)
    }

    /// As [`wait`](Self::wait), and until a signal sets the end of main's grace.
    async fn wait_before_a_signal(&mut self, until: Option<Instant>) {
        let news = self.wait(until);
        match Deadline::current() {
            Some(main) => drop(main.before_a_signal(news).await),
            None => drop(news.await),
        }
    }

    fn finish(mut self) -> Result<(), ServicesError> {
        drop(self.plan.state.set_phase(Phase::Ended));
        let (failure, cut) = (self.failure.take(), self.cut.take());
        let unfinished = std::mem::take(&mut self.unfinished);
        if let Some((first, _)) = unfinished.first() {
            let (first, others) = (first.clone(), unfinished.len() - 1);
            let grace = self.shortest.unwrap_or_default();
            let scope = UnfinishedScope::Services(self.plan.state.place);
            let tasks = unfinished.into_iter().map(|(_, task)| task).collect();
            let unfinished = Unfinished::new(grace, tasks, 0, 0, scope);
            return Err(ServicesError::unfinished(first, others, unfinished, failure));
        }
        failure.or(cut).map_or(Ok(()), Err)
    }
}

impl HandleStop {
    /// Whether someone waits for its end.
    fn is_awaited(&self) -> bool {
        self.replies.iter().any(|reply| !reply.is_closed())
    }

    /// The first one that waits gets the failure.
    fn answer(self, failed: Option<ServicesError>) {
        let mut failed = failed;
        self.answer_with(|| {
            failed.take().map_or(Ok(()), |failed| Err(ServicesHandleError::Failed(failed)))
        });
    }

    fn answer_with(self, mut result: impl FnMut() -> Result<(), ServicesHandleError>) {
        for reply in self.replies.into_iter().filter(|reply| !reply.is_closed()) {
            answer(Some(reply), result());
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let state = &self.plan.state;
        if state.phase() == Phase::Ended {
            return;
        }
        let unhandled = state.set_phase(Phase::Dropped);
        let was_cancelled = self.plan.token.is_cancelled();
        let live = state.all_live();
        for task in live.iter().filter_map(|live| live.task.as_ref()) {
            task.cancel(Cause::ScopeDropped);
            task.abort();
        }
        for pending in std::mem::take(&mut self.plan.pending) {
            drop_quietly(pending.start);
        }
        if !live.is_empty() && !was_cancelled {
            events::services_dropped(live.len(), state.place);
        }
        let why = "their `run` was dropped";
        if let Some(failure) = self.failure.take() {
            events::service_failed(failure.service(), Outcome::Error, Some(&failure.chain()), why);
            drop_quietly(failure);
        }
        for (id, end) in unhandled {
            if let End::Failed(failure) = end {
                failure.log(&state.path(state.name(id)), why);
            }
        }
    }
}

/// Notifies systemd once that the process is ready, if it is.
fn notify_manager() {
    static NOTIFIED: AtomicBool = AtomicBool::new(false);
    if NOTIFIED.load(Ordering::Relaxed) || !registry::services::is_ready() {
        return;
    }
    if !NOTIFIED.swap(true, Ordering::Relaxed) {
        if let Err(error) = service_manager::notify("READY=1", Duration::ZERO) {
            events::not_notified(&error);
        }
    }
}

/// Aborts a task that did not stop. Returns what it was.
fn abort(task: &ServiceTask) -> UnfinishedTask {
    let found = LiveTask::of(task.record());
    task.abort();
    UnfinishedTask { task: found, why: UnfinishedReason::StillRan }
}

fn earlier(end: Instant, by: Duration) -> Instant {
    end.checked_sub(by).unwrap_or(end)
}

fn answer(reply: Option<Reply>, result: Result<(), ServicesHandleError>) {
    if let Some(reply) = reply {
        // An error means that the call was dropped.
        drop(reply.send(result));
    }
}
