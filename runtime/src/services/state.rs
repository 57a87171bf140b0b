//! The services of one `Services`, with their states, as their tasks, `run`, its handles and observers share them.
//!
//! Invariants
//!
//! 1. A service is listed before its task is given to tokio, and its task until that has ended: it is never missing
//!    from `tasks()`, and a drop of `run` aborts it.
//! 2. The ends are queued in the order in which they were reported: the first failure is the one that `run` returns.
//! 3. `run` stores its waker before it checks `news`, and a task that ends sets `news` before it takes the waker. Otherwise
//!    `run` could sleep through the end of a service. (`state/loom.rs`)
//! 4. No user code runs under the lock, and no token is checked there: a `cancel` holds the locks of its tokens while it
//!    calls [`State::token_fired`].

use std::{
    collections::VecDeque,
    panic::Location,
    sync::{
        Arc, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
};

use crate::services::task::{End, ServiceTask};
use crate::{
    context::service::{ServiceNode, ServiceOwner},
    context::tree::{Activity, TaskRecord},
    panic::quietly,
    registry::HasTasks,
    registry::services::{HasServices, ServiceState, ServiceStatus},
    sync::{Mutex, MutexGuard},
};

#[cfg(all(test, supervised_loom))]
mod loom;

/// A service among those of one `Services`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServiceId(u64);

/// The kind of a service: when the next one starts, and whether it may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Must return `Ok` before the next one starts.
    Step,
    /// May return `Ok` at any time.
    Background,
    /// Runs until it is asked to stop.
    Service,
    /// As `Service`, and says when it is ready.
    WithReady,
}

pub(crate) struct State {
    pub(crate) place: &'static Location<'static>,
    number: usize,
    /// The service around it, once it runs: `api/`.
    prefix: OnceLock<Box<str>>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// In the order in which they start.
    services: Vec<Service>,
    next_id: u64,
    /// Those whose end was reported, and not handled yet.
    ended: VecDeque<(ServiceId, End)>,
    phase: Phase,
    news: bool,
    waker: Option<Waker>,
}

/// The phase of `run`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It starts services, or waits for the first that ends.
    Serving,
    /// It stops them.
    Stopping,
    /// It has ended.
    Ended,
    /// It was dropped.
    Dropped,
}

struct Service {
    id: ServiceId,
    name: &'static str,
    kind: Kind,
    node: Option<Arc<ServiceNode>>,
    step: Progress,
    /// Whether it was asked to stop.
    asked: bool,
}

enum Progress {
    Waiting,
    Running(Option<Arc<ServiceTask>>),
    Ended,
}

/// A service that has not ended, as `run` stops it.
pub(crate) struct Live {
    pub(crate) id: ServiceId,
    pub(crate) task: Option<Arc<ServiceTask>>,
    pub(crate) asked: bool,
}

impl State {
    pub(crate) fn new(place: &'static Location<'static>) -> Arc<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let inner = Inner {
            services: Vec::new(),
            next_id: 0,
            ended: VecDeque::new(),
            phase: Phase::Serving,
            news: false,
            waker: None,
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { place, number, prefix: OnceLock::new(), inner: Mutex::new(inner) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the service around it: its name is the prefix of all names.
    pub(crate) fn set_around(&self, service: Option<&ServiceNode>) {
        if let Some(service) = service {
            _ = self.prefix.set(format!("{}/", service.path()).into());
        }
    }

    pub(crate) fn path(&self, name: &str) -> Arc<str> {
        match self.prefix.get() {
            Some(prefix) => format!("{prefix}{name}").into(),
            None => name.into(),
        }
    }

    /// Adds a service that starts after those before it. `None` if a service that has not ended has its name.
    pub(crate) fn add(&self, name: &'static str, kind: Kind) -> Option<ServiceId> {
        let mut inner = self.lock();
        let same = inner.services.iter().position(|service| service.name == name);
        if let Some(at) = same {
            if !matches!(inner.services[at].step, Progress::Ended) {
                return None;
            }
            inner.services.remove(at);
        }
        let id = ServiceId(inner.next_id);
        inner.next_id += 1;
        let step = Progress::Waiting;
        inner.services.push(Service { id, name, kind, node: None, step, asked: false });
        Some(id)
    }

    /// Notes that a service is started now.
    pub(crate) fn set_started(&self, id: ServiceId, node: Arc<ServiceNode>) {
        self.with(id, |service| {
            service.node = Some(node);
            service.step = Progress::Running(None);
        });
    }

    /// Lists the task of a service, which is spawned next.
    pub(crate) fn set_task(&self, id: ServiceId, task: &Arc<ServiceTask>) {
        self.with(id, |service| service.step = Progress::Running(Some(task.clone())));
    }

    /// Notes that a service is asked to stop. Its end is no surprise from now on.
    pub(crate) fn set_asked(&self, id: ServiceId) {
        self.with(id, |service| service.asked = true);
    }

    /// Notes that a service has ended without a task: it never started, or its closure panicked.
    pub(crate) fn set_unspawned(&self, id: ServiceId) {
        self.with(id, |service| service.step = Progress::Ended);
    }

    /// Reports the end of a service's task.
    pub(crate) fn set_ended(&self, id: ServiceId, end: End) {
        let mut inner = self.lock();
        let mut task = None;
        if let Some(service) = inner.find(id) {
            task = service.end();
        }
        if inner.phase == Phase::Dropped {
            let failed = inner.find(id).map(|service| (service.name, service.node.clone()));
            drop(inner);
            drop(task);
            let path = failed.map(|(name, node)| {
                node.map_or_else(|| self.path(name), |node| node.path().clone())
            });
            if let (Some(path), End::Failed(failure)) = (path, end) {
                failure.log(&path, "their `run` had been dropped");
            }
            return;
        }
        inner.ended.push_back((id, end));
        let waker = inner.wake();
        drop(inner);
        drop(task);
        wake(waker);
    }

    /// The next end to handle.
    pub(crate) fn take_ended(&self) -> Option<(ServiceId, End)> {
        self.lock().ended.pop_front()
    }

    /// Sets the waker, and returns whether there may be something new since the last call.
    pub(crate) fn take_news(&self, waker: &Waker) -> bool {
        // Cloned and dropped outside of the lock: it is foreign code.
        let waker = waker.clone();
        let mut inner = self.lock();
        let before = inner.waker.replace(waker);
        let news = std::mem::take(&mut inner.news);
        drop(inner);
        drop(before);
        news
    }

    fn notify(&self) {
        let waker = self.lock().wake();
        wake(waker);
    }

    pub(crate) fn kind(&self, id: ServiceId) -> Option<Kind> {
        self.with(id, |service| service.kind)
    }

    pub(crate) fn name(&self, id: ServiceId) -> &'static str {
        self.with(id, |service| service.name).unwrap_or_default()
    }

    pub(crate) fn is_asked(&self, id: ServiceId) -> bool {
        self.with(id, |service| service.asked).unwrap_or(false)
    }

    pub(crate) fn node(&self, id: ServiceId) -> Option<Arc<ServiceNode>> {
        self.with(id, |service| service.node.clone()).flatten()
    }

    /// Whether the service that comes after it may start.
    pub(crate) fn has_started(&self, id: ServiceId) -> bool {
        self.with(id, |service| service.has_started()).unwrap_or(true)
    }

    pub(crate) fn has_ended(&self, id: ServiceId) -> bool {
        self.with(id, |service| matches!(service.step, Progress::Ended)).unwrap_or(true)
    }

    /// The service of that name, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<ServiceId> {
        let inner = self.lock();
        inner.services.iter().find(|service| service.name == name).map(|service| service.id)
    }

    /// Whether every service has started, and none is waited for.
    pub(crate) fn all_started(&self) -> bool {
        self.lock().services.iter().all(Service::has_started)
    }

    /// The service, unless it has ended.
    pub(crate) fn live(&self, id: ServiceId) -> Option<Live> {
        self.with(id, |service| service.live()).flatten()
    }

    /// The services that have been started and have not ended, in the order of their starts.
    pub(crate) fn all_live(&self) -> Vec<Live> {
        self.lock().services.iter().filter_map(Service::live).collect()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// Sets the phase. If `run` is over, returns the ends that were not handled.
    pub(crate) fn set_phase(&self, phase: Phase) -> VecDeque<(ServiceId, End)> {
        let mut inner = self.lock();
        inner.phase = phase;
        match phase {
            Phase::Serving | Phase::Stopping => VecDeque::new(),
            Phase::Ended | Phase::Dropped => std::mem::take(&mut inner.ended),
        }
    }

    fn with<R>(&self, id: ServiceId, code: impl FnOnce(&mut Service) -> R) -> Option<R> {
        self.lock().find(id).map(code)
    }

    pub(crate) fn status(&self) -> Vec<ServiceStatus> {
        let inner = self.lock();
        let ended = matches!(inner.phase, Phase::Ended | Phase::Dropped);
        inner.services.iter().map(|service| service.status(ended, |name| self.path(name))).collect()
    }
}

impl Inner {
    fn find(&mut self, id: ServiceId) -> Option<&mut Service> {
        self.services.iter_mut().find(|service| service.id == id)
    }

    fn wake(&mut self) -> Option<Waker> {
        self.news = true;
        self.waker.take()
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        // A panic of it is not the caller's.
        quietly(|| waker.wake());
    }
}

impl Service {
    fn end(&mut self) -> Option<Arc<ServiceTask>> {
        match std::mem::replace(&mut self.step, Progress::Ended) {
            Progress::Running(task) => task,
            Progress::Waiting | Progress::Ended => None,
        }
    }

    fn live(&self) -> Option<Live> {
        match &self.step {
            Progress::Running(task) => {
                Some(Live { id: self.id, task: task.clone(), asked: self.asked })
            }
            Progress::Waiting | Progress::Ended => None,
        }
    }

    fn says_ready(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.is_ready())
    }

    /// Whether the next one may start.
    fn has_started(&self) -> bool {
        match (&self.step, self.kind) {
            (Progress::Waiting, _) => false,
            (Progress::Ended, _) => true,
            (Progress::Running(_), Kind::Step) => false,
            (Progress::Running(_), Kind::Background | Kind::Service) => true,
            (Progress::Running(_), Kind::WithReady) => self.says_ready(),
        }
    }

    fn state(&self) -> ServiceState {
        let record = match &self.step {
            Progress::Waiting | Progress::Running(None) => return ServiceState::Starting,
            Progress::Ended => return ServiceState::Stopped,
            Progress::Running(Some(task)) => task.record(),
        };
        let is_restart = self.node.as_ref().is_some_and(|node| node.is_restart());
        if self.asked {
            ServiceState::Stopping
        } else if is_restart && record.activity() == Activity::Waiting {
            ServiceState::Restarting
        } else if self.has_started() {
            ServiceState::Ready
        } else {
            ServiceState::Starting
        }
    }

    fn status(&self, ended: bool, path: impl FnOnce(&str) -> Arc<str>) -> ServiceStatus {
        let node = self.node.as_ref();
        ServiceStatus {
            name: node.map_or_else(|| path(self.name), |node| node.path().clone()),
            state: if ended { ServiceState::Stopped } else { self.state() },
            restarts: node.map_or(0, |node| node.restarts() as u64),
            last_failure: node.and_then(|node| node.last_failure()),
        }
    }

    /// Whether it keeps the process from being ready.
    fn is_ready(&self) -> bool {
        match (self.kind, self.state()) {
            (_, ServiceState::Ready) | (Kind::Background, ServiceState::Restarting) => true,
            // It has returned, or was stopped by a handle.
            (_, ServiceState::Stopped) => true,
            _ => false,
        }
    }
}

impl HasTasks for State {
    fn records(&self, into: &mut Vec<Arc<TaskRecord>>) {
        let inner = self.lock();
        for service in &inner.services {
            if let Progress::Running(Some(task)) = &service.step {
                into.push(task.record().clone());
            }
        }
    }

    /// The token that `run` was given fires: `run` continues.
    fn token_fired(&self) {
        self.notify();
    }
}

impl ServiceOwner for State {
    fn service_changed(&self) {
        self.notify();
    }
}

impl HasServices for State {
    fn number(&self) -> usize {
        self.number
    }

    fn services(&self, into: &mut Vec<ServiceStatus>) {
        into.extend(self.status());
    }

    fn all_ready(&self) -> bool {
        let inner = self.lock();
        inner.phase == Phase::Serving && inner.services.iter().all(Service::is_ready)
    }
}
